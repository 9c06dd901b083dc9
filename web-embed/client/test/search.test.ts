import { expect, test } from 'vitest'
import { Server, until } from './server.js'
import { online, pair, text } from './world.js'

test('messages are found by their words, with where the words stand, and jumped to', async () => {
  const server = await Server.start()
  const ann = await online(server, 'ann'), bob = await online(server, 'bob')
  const [a, b] = await pair(ann, bob)
  for (let i = 0; i < 60; i++) void a.send(i === 3 ? '今晚七点在老地方见' : 'nothing ' + i)
  await until('all to be sent', () => ann.outbox.value.length === 0)
  await b.send('See you at the old place').sent
  const { items } = await bob.search('老地方')
  expect(items).toHaveLength(1)
  expect(items[0]).toMatchObject({ conversation: a.id, message: { from: 'ann', own: false } })
  expect(items[0]!.marks.map(([from, to]) => items[0]!.snippet.slice(from, to))).toEqual(['老地方'])
  const t = b.timeline({ page: 10 })
  await t.jump(items[0]!.message.id)
  expect(t.items.value.some(i => i.t === 'message' && text(i.message) === '今晚七点在老地方见')).toBe(true)
  const mine = await bob.search('place', { in: a.id, from: 'bob', kind: 'text' })
  expect(mine.items.map(h => text(h.message))).toEqual(['See you at the old place'])
  const first = await ann.search('nothing', { limit: 20 })
  expect(first.items).toHaveLength(20)
  const next = await ann.search('nothing', { limit: 20, cursor: first.next! })
  expect(text(next.items[0]!.message)).toBe('nothing 39')
  await b.revoke(mine.items[0]!.message.id)
  expect((await ann.search('place')).items).toEqual([])
  await expect(ann.search('')).rejects.toMatchObject({ code: 'BAD_REQUEST' })
})
