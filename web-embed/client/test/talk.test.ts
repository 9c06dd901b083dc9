import { expect, test } from 'vitest'
import { Server, until } from './server.js'
import { messages, online, pair, text, texts } from './world.js'

test('two people talk: list, timeline, receipts, typing, unread, reactions, edits, recalls', async () => {
  const server = await Server.start()
  const ann = await online(server, 'ann'), bob = await online(server, 'bob')
  const [a, b] = await pair(ann, bob)
  const at = a.timeline(), list = bob.conversations.list()

  const heard: string[] = []
  bob.on('message', m => heard.push(text(m)))
  const out = a.send('Hello Bob')
  expect(out.message.value.status).toMatch(/queued|sending/)
  const key = out.message.value.key
  const sent = await out.sent
  expect(sent.seq).toBe(1)
  await until('the list to show it', () => list.value[0]?.unread === 1 && list.value[0].last && text(list.value[0].last) === 'Hello Bob')
  expect(list.value[0]!.title).toBe('ann')
  expect(bob.conversations.unread.value.total).toBe(1)
  expect(heard).toEqual(['Hello Bob'])
  await until('the tick', () => messages(at)[0]?.status === 'delivered')
  expect(messages(at)[0]!.key).toBe(key)

  const bt = b.timeline({ at: 'unread' })
  await until('the timeline', () => texts(bt).length === 1)
  expect(bt.items.value[0]).toEqual({ t: 'unread', key: 'unread', count: 1 })
  b.markRead()
  expect(bob.conversations.unread.value.total).toBe(0)
  await until('the second tick', () => messages(at)[0]?.status === 'read')
  expect(a.readers(sent.id).value.read.map(u => u.id)).toEqual(['bob'])

  b.typing()
  await until('typing', () => a.view.value!.typing.includes('bob'))
  const answer = await b.send({ text: 'Hello Ann', mentions: ['ann'] }, { replyTo: sent.id }).sent
  await until('the answer', () => texts(at).at(-1) === 'Hello Ann')
  expect(a.view.value!.typing).toEqual([])
  expect(a.view.value!.mentioned).toBe(true)
  expect(messages(at).at(-1)!.replyTo?.message && text(messages(at).at(-1)!.replyTo!.message!)).toBe('Hello Bob')
  expect(bt.items.value.some(i => i.t === 'unread')).toBe(false)

  await a.react(answer.id, '👍', true)
  await until('the reaction', () => messages(bt).at(-1)!.reactions[0]?.count === 1)
  expect(messages(at).at(-1)!.reactions).toEqual([{ emoji: '👍', users: ['ann'], count: 1, mine: true }])
  await a.edit(sent.id, 'Hello, Bob')
  await until('the edit', () => texts(bt)[0] === 'Hello, Bob')
  expect(texts(at)[0]).toBe('Hello, Bob')
  expect(messages(at)[0]!.edited).toBeGreaterThan(0)
  await a.revoke(sent.id)
  await until('the recall', () => messages(bt)[0]!.revoked)
  expect(messages(at)[0]!.revoked).toMatchObject({ by: 'ann', text: 'Hello, Bob' })
  expect(messages(at)[0]!.parts).toEqual([])
  expect(messages(bt).at(-1)!.replyTo?.message).toBe(null)

  expect(a.view.value!.avatar).toMatch(/^http:\/\/127/)
  expect((await fetch(a.view.value!.avatar!)).status).toBe(200)
  expect(text(await b.message(answer.id))).toBe('Hello Ann')
  const fresh = await online(server, 'ann', { app: 'fresh' })
  expect(await fresh.conversations.get(a.id).message(answer.id)).toMatchObject({ from: 'bob', at: answer.at, mentions: ['ann'] })

  await a.update({ pinned: true, muted: true })
  expect(a.view.value).toMatchObject({ pinned: true, muted: true })
})

test('friends: request, acceptance, remark, block', async () => {
  const server = await Server.start()
  const ann = await online(server, 'ann'), bob = await online(server, 'bob')
  const asked = bob.contacts.requests()
  const r = await ann.contacts.request('bob', 'It is me')
  expect(r).toMatchObject({ kind: 'friend', outgoing: true, state: 'waiting', mayAnswer: false })
  await until('the request', () => asked.value.length === 1)
  expect(asked.value[0]).toMatchObject({ note: 'It is me', mayAnswer: true })
  expect(bob.contacts.waiting.value).toBe(1)
  await bob.contacts.answer(asked.value[0]!.id, 'accept')
  expect(bob.contacts.waiting.value).toBe(0)
  await until('the friend', () => ann.contacts.list().value[0]?.friend)
  await ann.contacts.update('bob', { remark: 'Bobby', tags: ['work'] })
  expect(ann.contacts.get('bob')).toMatchObject({ remark: 'Bobby', tags: ['work'], user: { name: 'Bobby', nickname: 'bob' } })
  await until('the title', () => ann.conversations.list().value[0]?.title === 'Bobby')
  const seen = ann.presence.of('bob')
  const stop = seen.subscribe(() => {})
  await until('presence', () => seen.value?.status === 'online')
  await bob.presence.set('busy')
  await until('busy', () => seen.value?.status === 'busy')
  stop()
  await ann.contacts.block('bob', true)
  const out = bob.conversations.get(ann.conversations.list().value[0]!.id).send('Hello?')
  await expect(out.sent).rejects.toMatchObject({ code: 'DENIED' })
  expect(out.message.value).toMatchObject({ status: 'failed', error: { code: 'DENIED' } })
  await ann.contacts.block('bob', false)
  out.retry()
  await until('it to be sent', () => out.message.value.seq)
})

test('a press of a card is unread for nobody, and nobody’s last message', async () => {
  const server = await Server.start()
  const ann = await online(server, 'ann'), bob = await online(server, 'bob')
  const [a, b] = await pair(ann, bob)
  const heard: string[] = []
  bob.on('message', m => heard.push(m.id))
  const card = await a.send({ card: { title: 'Lunch?', buttons: [{ action: 'yes', label: 'Yes' }] } }).sent
  await a.bot.submit(card.id, 'yes')
  const bt = b.timeline()
  await until('the press to lock the card', () => messages(bt)[0]?.parts.some(p => p.t === 'card' && !!p.card.done))
  expect(b.view.value).toMatchObject({ unread: 1, headSeq: 2, at: card.at, last: { id: card.id } })
  expect(heard).toEqual([card.id])
  b.markRead(1)
  await until('the server to agree', () => b.view.value!.unread === 0)
  // The same by a list that the server made.
  const fresh = await online(server, 'bob', { app: 'fresh' })
  const list = fresh.conversations.list()
  await until('the mark to be told', () => list.value[0]?.unread === 0)
  expect(list.value[0]).toMatchObject({ headSeq: 2, at: card.at, last: { id: card.id } })
})
