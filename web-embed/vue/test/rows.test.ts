import type { Item, Message } from '@troupe/client'
import { describe, expect, it } from 'vitest'
import { prepended, rowsOf, type Row } from '../src/timeline/rows'

const noon = new Date(2026, 2, 14, 12).getTime()
function item(n: number, from: string, minutes: number, o: Partial<Message> = {}): Item {
  const at = noon + minutes * 60_000
  const message = { id: `m${n}`, key: `k${n}`, clientId: `k${n}`, seq: n, from, own: from === 'me', at, kind: 'text', parts: [{ t: 'text', text: `${n}` }], status: 'received', mentions: [], reactions: [], ...o } as unknown as Message
  return { t: 'message', key: `k${n}`, seq: n, at, message }
}
const shape = (rows: readonly Row[]) => rows.map(r => r.t === 'message' ? `${r.start ? '[' : ''}${r.key}${r.end ? ']' : ''}` : r.t).join(' ')

describe('rows', () => {
  it('group what one person says within five minutes', () => {
    expect(shape(rowsOf([item(1, 'a', 0), item(2, 'a', 4), item(3, 'a', 10), item(4, 'b', 11), item(5, 'b', 11)], { hasOlder: true }))).toBe('[k1 k2] [k3] [k4 k5]')
  })
  it('part a group where something stands between', () => {
    expect(shape(rowsOf([item(1, 'a', 0), { t: 'unread', key: 'unread', count: 1 }, item(2, 'a', 1), item(3, 'a', 1, { revoked: { by: 'a', at: 0 } }), item(4, 'a', 2)], { hasOlder: true }))).toBe('[k1] unread [k2] line [k4]')
  })
  it('have a day where the day changes, and above the first only when nothing is before it', () => {
    const items = [item(1, 'a', 0), item(2, 'a', 24 * 60)]
    expect(shape(rowsOf(items, { hasOlder: false }))).toBe('day [k1] day [k2]')
    expect(shape(rowsOf(items, { hasOlder: true }))).toBe('[k1] day [k2]')
  })
  it('part a group at midnight', () => {
    expect(shape(rowsOf([item(1, 'a', 719), item(2, 'a', 721)], { hasOlder: true }))).toBe('[k1] day [k2]')
  })
  it('are the same objects where they say the same', () => {
    const items = [item(1, 'a', 0), item(2, 'a', 1)]
    const before = rowsOf(items, { hasOlder: false })
    const after = rowsOf([...items, item(3, 'b', 2)], { hasOlder: false, before })
    expect(after.slice(0, 3).map((r, i) => r === before[i])).toEqual([true, true, true])
    const grown = rowsOf([...items, item(4, 'a', 2)], { hasOlder: false, before })
    expect([grown[1] === before[1], grown[2] === before[2]]).toEqual([true, false])
  })
  it('end with who is typing', () => {
    expect(shape(rowsOf([item(1, 'a', 0)], { hasOlder: true, typing: ['b'] }))).toBe('[k1] typing')
  })
  it('know how many came in front', () => {
    const before = rowsOf([item(5, 'a', 0), item(6, 'a', 1)], { hasOlder: true })
    expect(prepended(before, rowsOf([item(3, 'b', -60), item(4, 'b', -50), item(5, 'a', 0), item(6, 'a', 1)], { hasOlder: true }))).toBe(2)
    expect(prepended(before, rowsOf([item(5, 'a', 0), item(6, 'a', 1), item(7, 'a', 2)], { hasOlder: true }))).toBe(0)
    expect(prepended(before, rowsOf([item(90, 'a', 0)], { hasOlder: true }))).toBe(0)
  })
})
