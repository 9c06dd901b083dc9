import { expect, test } from 'vitest'
import { MemoryStorage, type Events, type StorageChange } from '../src/index.js'
import { parts, prepare } from '../src/content.js'
import { head, onlineScene, scene, settle } from './fake.js'
import { until } from './server.js'
import { messages, text, texts } from './world.js'

const push = (seq: number, more: object = {}): object => ({
  type: 'msg_push', session: 's', seq, messagerecvId: 's.' + seq, sender: 'bob', clientMsgId: 'c' + seq, content: { type: 'text', text: 'm' + seq }, createdAt: 1000 + seq, offset: seq, ...more,
})

test('a bot writes: draft, deltas, the message in its place', async () => {
  const s = await onlineScene(), t = s.client.conversations.get('s').timeline(), said: string[] = []
  s.client.on('stream', e => said.push(e.state + ':' + e.text))
  await settle()
  const delta = (rev: number, at: number, text?: string, more: object = {}): void => s.line().say({ type: 'msg_stream', session: 's', streamId: 'st', sender: 'bot', rev, at, ...(text !== undefined && { text }), ...more })
  delta(1, 0)
  await until('what takes drafts to be loaded', async () => { await s.clock.pass(20); return messages(t).length > 0 })
  expect(messages(t)[0]).toMatchObject({ id: 'st', key: 'st', from: 'bot', seq: null, stream: { state: 'thinking' } })
  s.line().say({ type: 'msg_editing_reply', session: 's', userId: 'bot' })
  expect(s.client.conversations.get('s').view.value!.typing).toEqual([])
  delta(2, 0, 'Once ')
  delta(3, 5, 'upon')
  await s.clock.pass(20)
  expect(text(messages(t)[0]!)).toBe('Once upon')
  delta(3, 5, 'up') // an old one, again
  await s.clock.pass(20)
  expect(text(messages(t)[0]!)).toBe('Once upon')
  delta(6, 0, 'Once upon a time')
  delta(7, 16, undefined, { done: true, seq: 1 })
  s.line().say(push(1, { sender: 'bot', clientMsgId: 'b1', content: { type: 'text', text: 'Once upon a time.', data: { format: 'md' } } }))
  await s.clock.pass(20)
  expect(messages(t)).toHaveLength(1)
  expect(messages(t)[0]).toMatchObject({ id: 's.1', key: 'st', seq: 1, stream: { state: 'done' }, parts: [{ t: 'text', text: 'Once upon a time.', format: 'md' }] })
  expect(said).toEqual(['thinking:', 'streaming:Once ', 'streaming:Once upon', 'streaming:Once upon', 'streaming:Once upon a time', 'done:Once upon a time'])

  for (const [end, state] of [['cancelled', 'stopped'], ['failed', 'failed']] as const) {
    s.line().say({ type: 'msg_stream', session: 's', streamId: end, sender: 'bot', rev: 1, at: 0, text: 'half' })
    s.line().say({ type: 'msg_stream', session: 's', streamId: end, sender: 'bot', rev: 2, at: 4, [end]: true })
    await s.clock.pass(20)
    expect(messages(t).at(-1)).toMatchObject({ id: end, stream: { state }, parts: [{ text: 'half' }] })
  }
})

test('what was missed of a draft is asked for once, and what came meanwhile goes behind it', async () => {
  const s = await onlineScene(), t = s.client.conversations.get('s').timeline()
  await settle()
  const delta = (rev: number, at: number, text: string): void => s.line().say({ type: 'msg_stream', session: 's', streamId: 'st', sender: 'b_ai', rev, at, text, replyTo: 's.7', createdAt: 5 })
  let whole!: () => void
  s.answers['sync'] = f => {
    expect(f).toMatchObject({ session: 's', limit: 1 })
    whole = () => s.line().say({
      type: 'sync_reply', id: f.id, errcode: 0, session: 's', messages: [], headSeq: 0, hasMore: false, epoch: 'l',
      streams: [{ session: 's', streamId: 'st', sender: 'b_ai', rev: 5, text: 'one two three', createdAt: 5 }],
    })
    return undefined
  }
  const asked = (): number => s.asked('sync').length
  const before = asked()
  delta(1, 0, 'one ')
  delta(3, 8, 'thr') // the second was lost
  delta(4, 11, 'e')
  await s.clock.pass(20)
  expect(text(messages(t)[0]!)).toBe('one ')
  expect(asked()).toBe(before + 1)
  delta(5, 12, 'e')
  delta(6, 13, ' four')
  whole()
  await s.clock.pass(20)
  expect(messages(t)[0]).toMatchObject({ at: 5, replyTo: { id: 's.7' }, parts: [{ text: 'one two three four' }] })
  expect(asked()).toBe(before + 1)
  delta(8, 3, '!') // it was made shorter, and what came before that is not known
  expect(asked()).toBe(before + 2)
})

test('a session that is opened, and one after a reconnect, has the drafts as they stand', async () => {
  const s = await onlineScene(), streams: object[] = [{ session: 's', streamId: 'a', sender: 'b_ai', rev: 9, text: 'half an answer', createdAt: 5 }]
  s.answers['sync'] = () => ({ session: 's', messages: [], headSeq: 0, hasMore: false, epoch: 'l', streams })
  const t = s.client.conversations.get('s').timeline()
  await s.clock.pass(20)
  expect(texts(t)).toEqual(['half an answer'])
  streams[0] = { session: 's', streamId: 'b', sender: 'b_ai', rev: 2, text: 'another', createdAt: 6 }
  s.line().end(1006)
  await s.clock.pass(500)
  s.line().open()
  await s.clock.pass(50)
  expect(texts(t)).toEqual(['another'])
})

test('the newest of several answers stands for all of them', async () => {
  const s = await onlineScene(), t = s.client.conversations.get('s').timeline()
  await settle()
  const answer = (seq: number, said: string, first?: string): void => s.line().say(push(seq, { sender: 'b_ai', content: { type: 'text', text: said, ...(first && { data: { troupe: { variantOf: first } } }) } }))
  s.line().say(push(1))
  answer(2, 'first')
  s.line().say(push(3, { content: { type: 'card', data: { troupe: { action: 'regenerate' } } }, replyTo: 's.2' }))
  answer(4, 'second', 's.2')
  s.line().say(push(5))
  answer(6, 'third', 's.2')
  await settle()
  expect(texts(t)).toEqual(['m1', 'm5', 'third'])
  expect(messages(t).at(-1)!.stream).toMatchObject({ state: 'done', variants: ['s.2', 's.4', 's.6'] })
  s.line().say(push(7, { kind: 'recall', sender: 'b_ai', target: 6, targetSender: 'b_ai', content: undefined }))
  await settle()
  expect(messages(t).map(m => m.id)).toEqual(['s.1', 's.4', 's.5', 's.6'])
  expect(messages(t)[1]!.stream!.variants).toEqual(['s.2', 's.4'])
})

test('a whisper stands at its time, is counted nowhere, and goes when it is closed', async () => {
  const s = await onlineScene(), c = s.client.conversations.get('s'), t = c.timeline(), heard: string[] = []
  s.client.on('whisper', m => heard.push(text(m)))
  await settle()
  s.line().say(push(1))
  s.line().say({ type: 'msg_whisper', session: 's', whisperId: 'w', sender: 'b_reminder', content: { type: 'text', text: 'when?' }, createdAt: 1002, replyTo: 's.1' })
  s.line().say(push(2, { createdAt: 1005 }))
  await settle()
  expect(texts(t)).toEqual(['m1', 'when?', 'm2'])
  expect(messages(t)[1]).toMatchObject({ whisper: true, seq: null, from: 'b_reminder', replyTo: { id: 's.1', seq: 1 } })
  s.line().say({ type: 'msg_whisper', session: 's', whisperId: 'w', sender: 'b_reminder', content: { type: 'text', text: 'at what time?' }, createdAt: 1002 })
  await settle()
  expect(texts(t)).toEqual(['m1', 'at what time?', 'm2'])
  expect(c.view.value).toMatchObject({ unread: 2, headSeq: 2 })
  expect(heard).toEqual(['when?', 'at what time?'])
  c.dismiss('w')
  await settle()
  expect(texts(t)).toEqual(['m1', 'm2'])
})

test('what a moderator changed, holds back or rejected is shown as that', async () => {
  const s = await onlineScene(), c = s.client.conversations.get('s'), t = c.timeline()
  await settle()
  const log: any[] = []
  s.answers['sync'] = f => ({ session: 's', messages: log.filter(e => f.afterSeq === undefined || e.seq > f.afterSeq), headSeq: log.length, hasMore: false, epoch: 'l' })
  s.answers['msg_send'] = f => {
    const deal = { state: 'rewritten', by: 'b_mod', reason: 'a word', at: 7 }
    log.push({ session: 's', seq: 1, messagerecvId: 's.1', sender: 'ann', clientMsgId: f.clientMsgId, content: { type: 'text', text: 'you ***' }, createdAt: 1001, deal })
    return { session: 's', clientMsgId: f.clientMsgId, messagerecvId: 's.1', seq: 1, createdAt: 1001, deal }
  }
  const sent = await c.send('you know').sent
  expect(text(sent)).toBe('you ***')
  expect(sent.deal).toEqual({ state: 'rewritten', by: 'b_mod', reason: 'a word', at: 7 })
  s.line().say(push(2, { content: undefined, deal: { state: 'held', by: 'b_mod' } }))
  s.line().say(push(3, { content: undefined, deal: { state: 'rejected', by: 'b_mod' } }))
  s.line().say(push(4, { sender: 'ann', content: undefined, deal: { state: 'rejected', by: 'b_mod', reason: 'no' } }))
  await settle()
  expect(messages(t).map(m => [m.seq, m.deal?.state, m.parts.length])).toEqual([[1, 'rewritten', 1], [2, 'held', 0], [4, 'rejected', 0]])
  s.line().say(push(5, { kind: 'edit', sender: 'b_mod', target: 2, targetSender: 'bob', content: { type: 'text', text: 'let through' } }))
  await settle()
  const through = messages(t)[1]!
  expect(text(through)).toBe('let through')
  expect(through.deal).toBeUndefined()
  expect(through.edited).toBeUndefined()
})

test('a bot says what was done with its card; a card of anybody else is locked by the first press', async () => {
  const s = await onlineScene(), t = s.client.conversations.get('s').timeline()
  await settle()
  const card = (data: object): object => ({ type: 'card', title: 'Lunch', data: { buttons: [{ action: 'a', label: 'A' }], ...data } })
  s.line().say(push(1, { sender: 'b_poll', content: card({}) }))
  s.line().say(push(2, { sender: 'shop', content: card({}) }))
  s.line().say(push(3, { content: { type: 'card', data: { troupe: { action: 'a' } } }, replyTo: 's.1' }))
  s.line().say(push(4, { content: { type: 'card', data: { troupe: { action: 'a' } } }, replyTo: 's.2' }))
  await settle()
  const done = (n: number): unknown => { const p = messages(t)[n]!.parts[0]!; return p.t === 'card' && p.card.done }
  expect(done(0)).toBeUndefined()
  expect(done(1)).toMatchObject({ action: 'a', by: 'bob' })
  s.line().say(push(5, { kind: 'edit', sender: 'b_poll', target: 1, targetSender: 'b_poll', content: card({ done: { action: 'a', by: 'bob', at: 9 } }) }))
  await settle()
  expect(done(0)).toEqual({ action: 'a', by: 'bob', at: 9 })
})

test('a refused message is marked and does not block the next; one that is to wait, waits', async () => {
  const s = await onlineScene(), c = s.client.conversations.get('s')
  let n = 0
  s.answers['msg_send'] = f => {
    const t = f.content.text
    if (t === 'bad') return { errcode: 5, code: 'DENIED', error: 'no' }
    if (t === 'later' && n++ === 0) return { errcode: 9, code: 'RATE_LIMITED', error: 'slow down', retryAfterMs: 3000 }
    return { session: 's', clientMsgId: f.clientMsgId, messagerecvId: 's.x' + t, seq: t === 'later' ? 1 : 2, createdAt: 1 }
  }
  const bad = c.send('bad'), later = c.send('later'), after = c.send('after')
  await settle()
  expect(bad.message.value).toMatchObject({ status: 'failed', error: { code: 'DENIED' } })
  expect(later.message.value.status).toBe('queued')
  await s.clock.pass(2999)
  expect(n).toBe(1)
  await s.clock.pass(1)
  await expect(later.sent).resolves.toMatchObject({ seq: 1 })
  await expect(after.sent).resolves.toMatchObject({ seq: 2 })
  expect(bad.cancel()).toBe(true)
  expect(s.client.outbox.value).toEqual([])
})

test('what could not be sent in 24 hours fails, and is sent when the person wants it', async () => {
  const s = scene(), c = s.client.conversations.get('s')
  const out = c.send('old')
  await s.clock.pass(86_400_001)
  s.client.connect()
  await settle()
  s.line().open()
  await settle()
  expect(out.message.value).toMatchObject({ status: 'failed', error: { code: 'EXPIRED' } })
  await expect(out.sent).rejects.toMatchObject({ code: 'EXPIRED' })
  s.answers['msg_send'] = f => ({ session: 's', clientMsgId: f.clientMsgId, messagerecvId: 's.1', seq: 1, createdAt: 1 })
  out.retry()
  await expect(out.sent).resolves.toMatchObject({ id: 's.1', clientId: out.clientId })
})

test('a message that may have been sent cannot be cancelled any more', async () => {
  const s = await onlineScene(), c = s.client.conversations.get('s')
  s.answers['msg_send'] = () => undefined
  const out = c.send('gone?')
  await settle()
  expect(out.cancel()).toBe(false)
  s.line().end(1006)
  await settle()
  expect(out.message.value.status).toBe('queued')
  expect(out.cancel()).toBe(false)
  const waits = c.send('not yet')
  expect(waits.cancel()).toBe(true)
  await expect(waits.sent).rejects.toMatchObject({ code: 'CANCELLED' })
})

test('eight conversations send at once, each one message at a time', async () => {
  const s = await onlineScene({}, Array.from({ length: 10 }, (_, i) => head('s' + i)))
  s.answers['msg_send'] = () => undefined
  for (let i = 0; i < 10; i++) { s.client.conversations.get('s' + i).send('a'); s.client.conversations.get('s' + i).send('b') }
  await settle()
  const sent = s.asked('msg_send')
  expect(sent).toHaveLength(8)
  expect(new Set(sent.map(f => f.session)).size).toBe(8)
})

test('read marks go out three times a second at most', async () => {
  const s = await onlineScene({}, Array.from({ length: 5 }, (_, i) => head('s' + i, { headSeq: 9, unread: 9 })))
  for (let n = 1; n <= 9; n++) for (let i = 0; i < 5; i++) s.client.conversations.get('s' + i).markRead(n)
  expect(s.client.conversations.unread.value.total).toBe(0)
  await s.clock.pass(1000)
  expect(s.asked('msg_read').length).toBeLessThanOrEqual(3)
  await s.clock.pass(2000)
  expect(s.asked('msg_read').length).toBeLessThanOrEqual(6) // the first went out at once
  expect(s.asked('msg_read').filter(f => f.seq === 9)).toHaveLength(5)
  s.client.conversations.get('s0').markRead(3) // never back
  expect(s.client.conversations.get('s0').view.value!.readSeq).toBe(9)
})

test('unread is counted as the server does, and muted conversations are not in the total', async () => {
  const s = await onlineScene({}, [head('s'), head('m', { muted: true, headSeq: 4, unread: 4 })])
  const c = s.client.conversations.get('s')
  s.line().say(push(1))
  s.line().say(push(2, { mentions: ['ann'] }))
  s.line().say(push(3, { sender: 'ann', clientMsgId: 'x' }))
  expect(c.view.value).toMatchObject({ unread: 2, mentioned: true })
  expect(s.client.conversations.unread.value).toEqual({ total: 2, items: { s: 2, m: 4 } })
  s.line().say(push(4, { kind: 'recall', target: 2, targetSender: 'bob', content: undefined }))
  expect(c.view.value!.unread).toBe(1)
  c.markRead()
  expect(c.view.value).toMatchObject({ unread: 0, mentioned: false })
})

test('a change that is told twice counts once', async () => {
  const s = await onlineScene(), t = s.client.conversations.get('s').timeline()
  await settle()
  s.line().say(push(1))
  s.line().say(push(2, { kind: 'react', target: 1, targetSender: 'bob', reaction: '👍', content: undefined }))
  s.line().say(push(2, { kind: 'react', target: 1, targetSender: 'bob', reaction: '👍', content: undefined }))
  s.line().say(push(1))
  expect(messages(t)[0]!.reactions).toMatchObject([{ emoji: '👍', count: 1 }])
  expect(texts(t)).toEqual(['m1'])
  expect(s.client.conversations.get('s').view.value!.unread).toBe(1)
})

test('rows that did not change are the same objects', async () => {
  const s = await onlineScene(), c = s.client.conversations.get('s'), t = c.timeline()
  await settle()
  s.line().say(push(1))
  const [first] = t.items.value
  s.line().say(push(2))
  expect(t.items.value[0]).toBe(first)
  const before = t.items.value, list = s.client.conversations.list().value
  c.setDraft('x')
  expect(t.items.value).toBe(before)
  expect(s.client.conversations.list().value).not.toBe(list)
})

test('events and the offset they had are written together, and a broken disk is said', async () => {
  const writes: (readonly StorageChange[])[] = []
  let broken = false
  class Disk extends MemoryStorage {
    override async write(c: readonly StorageChange[]): Promise<void> {
      if (broken) throw new Error('quota')
      writes.push(c)
      return super.write(c)
    }
  }
  const s = await onlineScene({ storage: new Disk() }), told: Events['storage'][] = []
  s.client.on('storage', e => told.push(e))
  await settle()
  writes.length = 0
  s.line().say(push(1))
  await settle()
  const row = (t: string, k: string): any => writes.flat().find(c => c.table === t && 'key' in c && c.key === k)
  expect(writes).toHaveLength(1)
  expect(row('meta', 'cursor').value).toEqual({ epoch: 'e', offset: 1 })
  expect(writes[0]!.some(c => c.table === 'entries')).toBe(true)
  expect(row('conversations', 's').value.h.unread).toBe(1)
  broken = true
  s.line().say(push(2))
  await settle()
  expect(told).toMatchObject([{ mode: 'memory', error: { code: 'STORAGE' } }])
  const out = s.client.conversations.get('s').send('still works')
  await settle()
  expect(out.message.value.status).toBe('sending')
})

test('caps: the quietest conversations and the oldest messages are let go', async () => {
  const disk = new MemoryStorage(), many = Array.from({ length: 30 }, (_, i) => head('s' + i, { updatedAt: i }))
  const s = await onlineScene({ storage: disk, cache: { conversations: 10, messages: 20 } }, many)
  for (let n = 1; n <= 200; n++) s.line().say(push(n, { session: 's29', messagerecvId: 's29.' + n }))
  await settle()
  expect(await disk.list('conversations')).toHaveLength(30)
  await s.client.destroy()
  const t = scene({ storage: disk, cache: { conversations: 10, messages: 20 } })
  await settle()
  await t.clock.pass(0)
  expect((await disk.list('conversations')).length).toBe(10)
  const line = t.client.conversations.get('s29').timeline()
  await settle()
  line.dispose()
  await settle()
  expect((await disk.list('entries')).length).toBe(20)
})

test('contents and drafts', () => {
  expect(prepare('hi')).toEqual({ content: { type: 'text', text: 'hi' } })
  expect(prepare({ text: '*hi*', format: 'md', mentions: ['bob'] })).toEqual({ content: { type: 'text', text: '*hi*', data: { format: 'md' } }, mentions: ['bob'] })
  expect(parts({ type: 'text', text: '*hi*', data: { format: 'md' } })).toEqual([{ t: 'text', text: '*hi*', format: 'md' }])
  const card = { title: 'Visit', rows: [{ label: 'When', value: 'now' }], buttons: [{ action: 'ok', label: 'Confirm' }] }
  expect(parts(prepare({ card }).content)).toMatchObject([{ t: 'card', card }])
  expect(parts({ type: 'card', data: { rows: 'none', buttons: [{ action: 1 }, null, { action: 'a', label: 'A' }] } })).toMatchObject([{ t: 'card', card: { buttons: [{ action: 'a' }] } }])
  expect(parts({ type: 'voice', file: 'f', duration: 1200, data: { peaks: [1, 2] } })).toMatchObject([{ t: 'voice', file: { id: 'f', duration: 1200, peaks: [1, 2] } }])
  expect(parts({ type: 'image', files: ['a', 'b'] })).toMatchObject([{ t: 'image', file: { id: 'a' } }, { t: 'image', file: { id: 'b' } }])
  expect(parts({ type: 'livevideo' })).toEqual([{ t: 'call', video: true }])
  expect(parts({ type: 'system', text: 'The ward closes' })).toEqual([{ t: 'notice', text: 'The ward closes' }])
  expect(parts({ type: 'share', url: 'https://x.example', title: 'X' })).toEqual([{ t: 'link', link: { url: 'https://x.example', title: 'X' } }])
  expect(parts({ type: 'unheard_of' as never, data: { a: 1 } })).toEqual([{ t: 'other', kind: 'unheard_of', data: { a: 1 } }])
})

test('a pressed button locks its card, and is no message of its own', async () => {
  const s = await onlineScene(), c = s.client.conversations.get('s'), t = c.timeline()
  await settle()
  s.line().say(push(1, { content: { type: 'card', title: 'Visit', data: { buttons: [{ action: 'ok', label: 'Confirm' }] } } }))
  s.answers['msg_send'] = f => ({ session: 's', clientMsgId: f.clientMsgId, messagerecvId: 's.2', seq: 2, createdAt: 5 })
  await c.bot.submit('s.1', 'ok', { note: 'fine' })
  expect(s.asked('msg_send')[0]).toMatchObject({ replyTo: 's.1', content: { type: 'card', data: { troupe: { action: 'ok', values: { note: 'fine' } } } } })
  expect(messages(t)).toHaveLength(1)
  expect(messages(t)[0]!.parts[0]).toMatchObject({ t: 'card', card: { done: { action: 'ok', by: 'ann' } } })
})
