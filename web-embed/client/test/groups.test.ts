import { expect, test } from 'vitest'
import { Server, until } from './server.js'
import { messages, online, texts } from './world.js'

test('a group: made, changed, silenced, joined by a link, handed over, left, dissolved', async () => {
  const server = await Server.start()
  const ann = await online(server, 'ann'), bob = await online(server, 'bob'), eve = await online(server, 'eve')
  const g = await ann.conversations.open({ members: ['bob'], title: 'Hikers' })
  expect(g.view.value).toMatchObject({ kind: 'group', title: 'Hikers', role: 'owner', memberCount: 2, canWrite: true })
  await until('bob to be in it', () => bob.conversations.list().value.length === 1)
  const b = bob.conversations.get(g.id), bt = b.timeline()
  const members = g.members.list()
  await until('the members', () => members.value.length === 2)
  expect(members.value.map(m => [m.user.id, m.role])).toEqual([['ann', 'owner'], ['bob', 'member']])

  await g.configure({ title: 'Walkers', announcement: 'At nine' })
  await until('the name', () => b.view.value!.title === 'Walkers')
  expect(g.view.value!.title).toBe('Walkers')
  const info = b.info
  info.subscribe(() => {})
  await until('the announcement', () => info.value?.announcement === 'At nine')
  const changed = bt.items.value.find(i => i.t === 'event' && i.event.t === 'changed')
  expect(changed).toMatchObject({ event: { by: 'ann', what: { title: 'Walkers', announcement: 'At nine' } } })

  await g.members.silence(['bob'], Infinity)
  await until('silence', () => b.view.value!.whyNot === 'silenced')
  expect(b.view.value!.silencedUntil).toBe(Infinity)
  await expect(b.send('may I?').sent).rejects.toMatchObject({ code: 'SILENCED' })
  await g.members.silence(['bob'], 0)
  await until('speech', () => b.view.value!.canWrite)
  await g.configure({ silenceAll: true })
  await until('silence for all', () => b.view.value!.whyNot === 'silenced-all')
  expect(g.view.value!.canWrite).toBe(true)
  await g.configure({ silenceAll: false })

  const link = await g.links.create({ uses: 1 })
  expect(await eve.conversations.preview(link.code!)).toMatchObject({ conversation: g.id, title: 'Walkers', memberCount: 2, member: false })
  const e = await eve.conversations.join({ code: link.code! })
  await until('eve to see it', () => e.view.value?.title === 'Walkers')
  expect((await g.links.list()).items).toMatchObject([{ id: link.id, used: 1 }])
  await until('three', () => g.view.value!.memberCount === 3 && members.value.length === 3)

  await g.members.setRole(['bob'], 'admin')
  await until('the role', () => b.view.value!.role === 'admin')
  await e.send('Hello everybody').sent
  await until('it', () => texts(bt).includes('Hello everybody'))
  const at = g.timeline()
  await until('it', () => texts(at).includes('Hello everybody'))
  b.markRead()
  g.markRead()
  const hello = messages(at).find(m => m.from === 'eve')!
  const readers = e.readers(hello.id)
  readers.subscribe(() => {})
  const et = e.timeline()
  await until('both to have read it', () => readers.value.read.length === 2 && messages(et).at(-1)!.status === 'read')
  expect(messages(et).at(-1)!.receipts).toEqual({ delivered: 2, read: 2, total: 2 })

  await g.members.remove(['eve'])
  await until('eve to be out', () => e.view.value!.gone)
  expect(eve.conversations.list().value).toEqual([])
  await g.members.transfer('bob')
  await until('the new owner', () => b.view.value!.role === 'owner')
  expect(g.view.value!.role).toBe('admin')
  await g.leave()
  expect(ann.conversations.list().value).toEqual([])
  await b.dissolve()
  expect(bob.conversations.list().value).toEqual([])
})

test('who may not simply come in asks, and is let in', async () => {
  const server = await Server.start()
  const ann = await online(server, 'ann'), eve = await online(server, 'eve')
  const g = await ann.conversations.open({ members: [], title: 'Ask', joinPolicy: 'ask' })
  await expect(eve.conversations.join({ id: g.id })).rejects.toMatchObject({ code: 'DENIED' })
  await eve.contacts.requestGroup(g.id, 'Let me in')
  const asked = ann.contacts.requests()
  await until('the request', () => asked.value.length === 1)
  expect(asked.value[0]).toMatchObject({ kind: 'group', note: 'Let me in', mayAnswer: true, from: { id: 'eve' }, group: { id: g.id, title: 'Ask' } })
  expect((await g.members.requests()).items).toHaveLength(1)
  await ann.contacts.answer(asked.value[0]!.id, 'accept')
  await until('eve to be in it', () => eve.conversations.list().value[0]?.title === 'Ask')
})

test('a long history is read page by page, and jumped in', async () => {
  const server = await Server.start()
  const ann = await online(server, 'ann'), bob = await online(server, 'bob')
  const g = await ann.conversations.open({ members: ['bob'], title: 'Long' })
  for (let i = 0; i < 300; i++) void g.send('n' + i)
  await until('all to be sent', () => ann.outbox.value.length === 0)
  const b = bob.conversations.get(g.id)
  await until('the row', () => b.view.value?.unread === 300)

  // Somebody who was not there: nothing is known but the row.
  const fresh = await online(server, 'bob', { app: 'other' })
  const c = fresh.conversations.get(g.id), t = c.timeline({ page: 50 })
  await until('the newest', () => texts(t).at(-1) === 'n299')
  expect(t.status.value.hasOlder).toBe(true)
  const first = texts(t)[0]!
  const key = t.items.value.at(-1)!.key
  expect(await t.older()).toBe(true)
  expect(texts(t).length).toBeGreaterThan(200)
  expect(texts(t)).toContain(first)
  expect(t.items.value.at(-1)!.key).toBe(key)

  const seq = messages(t).find(m => m.parts[0]!.t === 'text' && m.parts[0]!.text === 'n250')!.seq!
  const u = c.timeline({ page: 20 })
  await until('it', () => texts(u).length > 0)
  await u.jump(seq - 245)
  expect(texts(u)).toContain('n5')
  if (!u.atLatest) {
    while (await u.newer());
    expect(u.atLatest).toBe(true)
  }
  expect(texts(u).at(-1)).toBe('n299')
  expect(new Set(texts(u)).size).toBe(texts(u).length)
  await u.jump('latest')
  const all = c.timeline()
  await until('it', () => all.status.value.loading === null)
  while (await all.older());
  expect(texts(all)).toEqual(Array.from({ length: 300 }, (_, i) => 'n' + i))

  const unread = fresh.conversations.get(g.id).timeline({ at: 'unread' })
  await until('the unread line', () => unread.items.value.some(i => i.t === 'unread'))
  await g.forward([messages(all)[0]!.id, messages(all)[1]!.id], [g.id], { merged: true, note: 'see' }).at(-1)!.sent
  await until('what was forwarded', () => messages(all).at(-2)?.parts[0]?.t === 'forward')
  expect(messages(all).at(-2)!.parts[0]).toMatchObject({ t: 'forward', title: 'Long', items: [{ text: 'n0', from: 'ann' }, { text: 'n1' }] })
})
