import 'fake-indexeddb/auto'
import { WebSocket } from 'ws'
import { expect, test } from 'vitest'
import type { ConnectionInfo, Events, WebSocketConstructor } from '../src/index.js'
import { Proxy } from './proxy.js'
import { Server, until } from './server.js'
import { Net, clientOf, messages, online, pair, texts } from './world.js'

const numbered = (n: number): string[] => Array.from({ length: n }, (_, i) => 'message ' + i)

/** A WebSocket that loses pushes, and tells what is sent. */
function leaky(lose: (text: string) => boolean, sent: (f: { type: string }) => void = () => {}): WebSocketConstructor {
  const { set } = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage')!
  return class extends WebSocket {
    constructor(url: string) {
      super(url)
      Object.defineProperty(this, 'onmessage', { set: f => set!.call(this, (e: { data: string }) => { if (!(e.data.includes('"type":"msg_push"') && lose(e.data))) f(e) }) })
    }
    override send(data: string): void {
      sent(JSON.parse(data))
      super.send(data)
    }
  } as never
}

test('a message whose acknowledgement was lost is stored once', async () => {
  const server = await Server.start(), proxy = await Proxy.to(() => server.port)
  const ann = await online(server, 'ann', { endpoint: proxy.url }), bob = await online(server, 'bob')
  const [a, b] = await pair(ann, bob)
  const at = a.timeline(), bt = b.timeline()
  proxy.deaf = true
  const out = a.send('Once')
  await until('the other to have it', () => texts(bt).length === 1)
  expect(out.message.value.status).toBe('sending')
  proxy.cut()
  proxy.deaf = false
  expect((await out.sent).seq).toBe(1)
  await until('both to agree', () => texts(at).length === 1 && at.items.value.length === 1)
  await b.send('Yes').sent
  await until('the next', () => texts(at).length === 2)
  expect(texts(at)).toEqual(['Once', 'Yes'])
  expect(texts(bt)).toEqual(['Once', 'Yes'])
})

test('what was written offline survives a restart and goes out in order', async () => {
  const server = await Server.start(), net = new Net()
  const bob = await online(server, 'bob')
  const first = await online(server, 'ann', { storage: 'indexeddb', app: 'restart', net })
  const [a, b] = await pair(first, bob)
  await a.send('before').sent
  net.say('offline')
  expect(first.state).toBe('offline')
  for (const t of numbered(5)) a.send(t)
  a.setDraft('half a')
  await first.destroy()

  const second = clientOf(server, 'ann', { storage: 'indexeddb', app: 'restart' })
  await until('what is stored', () => second.outbox.value.length === 5)
  const again = second.conversations.get(a.id), t = again.timeline()
  await until('history without a connection', () => texts(t).length === 6)
  expect(texts(t)).toEqual(['before', ...numbered(5)])
  expect(again.draft.value).toBe('half a')
  expect(second.conversations.list().value[0]).toMatchObject({ id: a.id, title: 'bob', pending: 5 })
  second.connect()
  const bt = b.timeline()
  await until('all to arrive', () => texts(bt).length === 6)
  expect(texts(bt)).toEqual(['before', ...numbered(5)])
  await until('nothing to wait', () => second.outbox.value.length === 0)
  expect(texts(t)).toEqual(['before', ...numbered(5)])
})

test('a timeline that is asked for at once has what is stored', async () => {
  const server = await Server.start()
  const bob = await online(server, 'bob'), first = await online(server, 'ann', { storage: 'indexeddb', app: 'at once' })
  const [a, b] = await pair(first, bob)
  const seen = a.timeline()
  await b.send('one').sent
  await until('it to come', () => texts(seen).length === 1)
  await first.destroy()
  await server.kill()
  for (const connect of [false, true]) {
    const next = clientOf(server, 'ann', { storage: 'indexeddb', app: 'at once' })
    if (connect) next.connect()
    const t = next.conversations.get(a.id).timeline()
    await until('history', () => texts(t).length === 1)
    await next.destroy()
  }
})

test('what was missed in a short break is resumed, each message once', async () => {
  const server = await Server.start(), proxy = await Proxy.to(() => server.port)
  const ann = await online(server, 'ann', { endpoint: proxy.url }), bob = await online(server, 'bob')
  const [a, b] = await pair(ann, bob)
  const at = a.timeline(), heard: string[] = [], synced: Events['synced'][] = []
  ann.on('message', m => heard.push(m.id))
  ann.on('synced', s => synced.push(s))
  await b.send('one').sent
  await until('the first', () => texts(at).length === 1)
  proxy.closed = true
  proxy.cut()
  await until('the break', () => ann.state !== 'online')
  for (const t of numbered(20)) await b.send(t).sent
  proxy.closed = false
  await until('all of it', () => texts(at).length === 21)
  expect(texts(at)).toEqual(['one', ...numbered(20)])
  expect(new Set(heard).size).toBe(heard.length)
  expect(heard).toHaveLength(21)
  await until('to be in step', () => synced.length === 1)
  expect(synced[0]).toMatchObject({ mode: 'resumed' })
  expect(synced[0]!.missed).toBeGreaterThanOrEqual(20)
  expect(a.view.value!.unread).toBe(21)
})

test('a break with more than is remembered ends in a snapshot without holes', async () => {
  const server = await Server.start(), proxy = await Proxy.to(() => server.port)
  const ann = await online(server, 'ann', { endpoint: proxy.url }), bob = await online(server, 'bob')
  const [a, b] = await pair(ann, bob)
  const at = a.timeline(), synced: Events['synced'][] = []
  await b.send('one').sent
  await until('the first', () => texts(at).length === 1)
  ann.on('synced', s => synced.push(s))
  proxy.closed = true
  proxy.cut()
  for (const t of numbered(150)) await b.send(t).sent
  proxy.closed = false
  await until('all of it', () => texts(at).length === 151)
  expect(texts(at)).toEqual(['one', ...numbered(150)])
  expect(synced[0]!.mode).toBe('snapshot')
  expect(a.view.value!.unread).toBe(151)
})

test('the server is killed again and again while messages are sent', async () => {
  const server = await Server.start()
  const ann = await online(server, 'ann'), bob = await online(server, 'bob')
  const [a, b] = await pair(ann, bob)
  const at = a.timeline(), bt = b.timeline()
  const outs = []
  for (const [i, t] of numbered(60).entries()) {
    outs.push(a.send(t))
    if (i % 20 === 10) {
      await outs[i - 3]!.sent
      await server.kill()
      await server.again()
    }
  }
  await Promise.all(outs.map(o => o.sent))
  await until('both to have all', () => texts(at).length === 60 && texts(bt).length === 60)
  expect(texts(at)).toEqual(numbered(60))
  expect(texts(bt)).toEqual(numbered(60))
  expect(messages(at).map(m => m.seq)).toEqual(messages(bt).map(m => m.seq))
})

test('a token is renewed on the live socket', async () => {
  const server = await Server.start(), proxy = await Proxy.to(() => server.port)
  const asked: string[] = [], states: string[] = []
  const ann = clientOf(server, 'ann', { endpoint: proxy.url, getToken: async ({ reason }) => { asked.push(reason); return server.token('ann', 3) } })
  ann.on('connection', i => states.push(i.state))
  ann.connect()
  await until('two renewals', () => asked.length >= 3)
  expect(asked.slice(0, 3)).toEqual(['initial', 'expiring', 'expiring'])
  expect(states).toEqual(['connecting', 'syncing', 'online'])
  expect(proxy.made).toBe(1)
})

test('a token that is refused is asked for once more, then the client ends', async () => {
  const server = await Server.start()
  const asked: string[] = []
  const ann = clientOf(server, 'ann', { getToken: async ({ reason }) => { asked.push(reason); return reason === 'rejected' ? server.token('ann') : server.token('ann', -3600) } })
  ann.connect()
  await ann.ready()
  expect(asked).toEqual(['initial', 'rejected'])

  const eve = clientOf(server, 'eve', { getToken: async () => 'no token at all' })
  const kicked: Events['kicked'][] = []
  eve.on('kicked', k => kicked.push(k))
  eve.connect()
  await expect(eve.ready()).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
  expect(eve.state).toBe('closed')
  expect(kicked).toHaveLength(1)

  const mallory = clientOf(server, 'mallory', { getToken: async () => server.token('ann') })
  mallory.connect()
  await expect(mallory.ready()).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
})

test('a server that says it goes away is found again', async () => {
  const server = await Server.start()
  const infos: ConnectionInfo[] = []
  const ann = await online(server, 'ann'), bob = await online(server, 'bob')
  const [a, b] = await pair(ann, bob)
  ann.on('connection', i => infos.push(i))
  await server.kill('SIGTERM')
  await until('the break', () => ann.state !== 'online')
  expect(infos[0]).toMatchObject({ state: 'waiting', error: { code: 'GOAWAY' } })
  const out = a.send('while it was away')
  await server.again()
  await out.sent
  const bt = b.timeline()
  await until('it to arrive', () => texts(bt).length === 1)
})

test('a line that has gone silent is noticed, and what was missed comes', async () => {
  const server = await Server.start(), proxy = await Proxy.to(() => server.port), net = new Net()
  const ann = await online(server, 'ann', { endpoint: proxy.url, net }), bob = await online(server, 'bob')
  const [a, b] = await pair(ann, bob)
  const at = a.timeline()
  await until('the timeline', () => at.status.value.loading === null)
  proxy.blackHole()
  await b.send('Are you there?').sent
  const out = a.send('Yes')
  net.say('wake') // asks for a sign of life, and waits 3 s for it
  await until('the silence to be noticed', () => ann.state !== 'online')
  proxy.blackHole(false)
  await out.sent
  await until('both', () => texts(at).length === 2)
  expect(texts(at)).toEqual(['Are you there?', 'Yes'])
})

test('a client that is too slow is closed, comes again, and lacks nothing', async () => {
  const server = await Server.start({ TROUPE_QUEUE: '32KiB', TROUPE_WRITE_WITHIN: '2s' }), proxy = await Proxy.to(() => server.port)
  const ann = await online(server, 'ann', { endpoint: proxy.url }), bob = await online(server, 'bob')
  const [a, b] = await pair(ann, bob)
  const at = a.timeline()
  await until('the timeline', () => at.status.value.loading === null)
  proxy.stall()
  const long = 'x'.repeat(8000)
  let n = 0
  const closed = async (): Promise<boolean> => (await (await fetch(server.url + '/metrics')).text()).includes('troupe_closes_total{code="4003"}')
  for (; n % 100 || !(await closed()); n++) await b.send(long + n).sent
  await until('all of it to be sent', () => bob.outbox.value.length === 0)
  const slow: string[] = []
  ann.on('connection', i => { if (i.error) slow.push(i.error.code) })
  proxy.stall(false)
  await until('the newest', () => texts(at).at(-1) === long + (n - 1))
  const all = texts(at).map(t => Number(t.slice(8000)))
  expect(all).toEqual(all.map((_, i) => all[0]! + i))
  await until('it to be online', () => ann.state === 'online')
})

test('a hole in the order is held, then exactly that range is fetched', async () => {
  const server = await Server.start()
  let drop = false
  const asked: { type: string }[] = []
  const Leaky = leaky(text => drop && text.includes('lost'), f => { if (f.type === 'sync') asked.push(f) })
  const ann = await online(server, 'ann', { WebSocket: Leaky }), bob = await online(server, 'bob')
  const [a, b] = await pair(ann, bob)
  const at = a.timeline()
  await b.send('one').sent
  await until('the first', () => texts(at).length === 1)
  asked.length = 0
  drop = true
  await b.send('lost 1').sent
  await b.send('lost 2').sent
  await b.send('two').sent
  await until('the rest', () => texts(at).length === 4)
  expect(texts(at)).toEqual(['one', 'lost 1', 'lost 2', 'two'])
  expect(asked).toMatchObject([{ session: a.id, afterSeq: 1 }])
})

test('a last message that was lost is noticed by the next sign of life', async () => {
  const server = await Server.start({ TROUPE_HEARTBEAT: '1s' })
  const Leaky = leaky(text => text.includes('lost'))
  const ann = await online(server, 'ann', { WebSocket: Leaky }), bob = await online(server, 'bob')
  const [a, b] = await pair(ann, bob)
  const at = a.timeline()
  await until('the timeline', () => at.status.value.loading === null)
  await b.send('lost').sent
  await until('it to be fetched', () => texts(at).length === 1)
  expect(ann.conversations.list().value[0]!.unread).toBe(1)
})

test('who was away says that it received what came meanwhile', async () => {
  const server = await Server.start()
  const ann = await online(server, 'ann'), bob = await online(server, 'bob')
  const [a, b] = await pair(ann, bob)
  const at = a.timeline()
  await a.send('First').sent
  await until('the first tick', () => messages(at)[0]?.status === 'delivered')
  bob.disconnect()
  await server.kill() // what would be given again is forgotten: a list tells of it
  await server.again()
  await until('ann to be back', () => ann.state === 'online')
  await a.send('While you were away').sent
  bob.connect()
  await until('the second tick', () => messages(at)[1]?.status === 'delivered')
  expect(b.view.value!.unread).toBe(2)
})
