import type { Message } from '@troupe/client'
import { expect, it } from 'vitest'
import { localHits } from '../src/panels/local'

const m = (seq: number | null, text: string, kind = 'text') => ({ id: `m${seq}`, key: `k${seq}`, conversation: 's', seq, kind, parts: [{ t: 'text', text }] }) as unknown as Message

it('what is loaded is found by all its words, the newest first, with the words marked', () => {
  const hits = localHits([m(1, '九溪公交站见'), m(2, 'Meet at 九溪 Station'), m(3, 'elsewhere'), m(null, '九溪 unsent')], '九溪')
  expect(hits.map(h => h.message.id)).toEqual(['m2', 'm1'])
  expect(hits.map(h => h.snippet.slice(...h.marks[0]! as [number, number]))).toEqual(['九溪', '九溪'])
  expect(localHits([m(2, 'Meet at 九溪 Station')], 'station meet')).toHaveLength(1)
  expect(localHits([m(1, 'x')], '  ')).toEqual([])
})
it('a long text is shown from shortly before what was found', () => {
  const [hit] = localHits([m(1, 'a'.repeat(300) + '九溪')], '九溪')
  expect(hit!.snippet.slice(...hit!.marks[0]! as [number, number])).toBe('九溪')
  expect(hit!.snippet.length).toBeLessThan(60)
})
