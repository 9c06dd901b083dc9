import { expect, test } from 'vitest'
import { onlineScene, scene, settle } from './fake.js'

test('attempts are spread by full jitter from 500 ms to 20 s, and begin short again after 30 s online', async () => {
  const s = scene()
  s.client.connect()
  await settle()
  const waits: number[] = []
  for (let i = 0; i < 8; i++) {
    s.line().end(1006)
    const { state, retryAt } = s.client.connection.value
    expect(state).toBe('waiting')
    waits.push(retryAt! - s.clock.now())
    await s.clock.pass(waits.at(-1)!)
  }
  expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000])
  s.clock.dice = 0
  s.line().end(1006)
  expect(s.client.connection.value.retryAt).toBe(s.clock.now())
  s.clock.dice = 1
  await s.clock.pass(0)
  s.line().open()
  await settle()
  expect(s.client.state).toBe('online')
  s.line().end(1006)
  expect(s.client.connection.value.retryAt! - s.clock.now()).toBe(20_000)
  await s.clock.pass(20_000)
  s.line().open()
  await s.clock.pass(30_000)
  s.line().end(1006)
  expect(s.client.connection.value.retryAt! - s.clock.now()).toBe(500)
})

test('what an older socket still says is not heard', async () => {
  const s = await onlineScene(), old = s.line()
  old.end(1006)
  await s.clock.pass(20_000)
  s.line().open()
  await settle()
  expect(s.client.state).toBe('online')
  old.end(4501)
  old.say({ type: 'msg_push', session: 's', seq: 1, messagerecvId: 's.1', sender: 'bob', content: { type: 'text', text: 'a ghost' }, createdAt: 1 })
  expect(s.client.state).toBe('online')
  expect(s.client.conversations.get('s').view.value!.headSeq).toBe(0)
})

test('a server without a sign of life for 10 s after it was asked is taken for dead', async () => {
  const s = await onlineScene()
  await s.clock.pass(24_000)
  expect(s.asked('heartbeat')).toHaveLength(1)
  expect(s.lines).toHaveLength(1)
  s.answers['heartbeat'] = () => undefined
  await s.clock.pass(24_000)
  expect(s.asked('heartbeat')).toHaveLength(2)
  s.line().say({ type: 'notice', text: 'busy' }) // anything is a sign of life
  await s.clock.pass(10_000)
  expect(s.lines).toHaveLength(1)
  await s.clock.pass(14_000)
  await s.clock.pass(10_001)
  expect(s.lines).toHaveLength(2)
  expect(s.lines[0]!.closed).toBe(true)
})

test('close codes say whether to come again', async () => {
  for (const [code, state, error] of [
    [4000, 'waiting', 'GOAWAY'], [4003, 'waiting', 'TOO_SLOW'], [4408, 'waiting', 'IDLE'], [1006, 'waiting', 'NETWORK'], [1011, 'waiting', 'NETWORK'], [4499, 'waiting', 'NETWORK'],
    [4503, 'closed', 'ORIGIN_REFUSED'], [4509, 'closed', 'REPLACED'], [4526, 'closed', 'CLIENT_TOO_OLD'], [4999, 'closed', 'UNAUTHORIZED'],
  ] as const) {
    const s = await onlineScene()
    s.line().end(code)
    expect(s.client.connection.value).toMatchObject({ state, error: { code: error } })
  }
})

test('after 4002 the position is forgotten', async () => {
  const s = await onlineScene()
  s.line().end(1006)
  await s.clock.pass(500)
  s.line().open()
  expect(s.line().sent[0].resume).toEqual({ epoch: 'e', offset: 0 })
  await settle()
  s.line().end(4002)
  await s.clock.pass(20_000)
  s.line().open()
  expect(s.line().sent[0].resume).toBeUndefined()
})

test('before a restart of the server the clients spread over the time it names', async () => {
  const s = await onlineScene()
  s.clock.dice = 0.5
  s.line().say({ type: 'goaway', retryInMs: 3000 })
  expect(s.client.state).toBe('online')
  s.line().end(4000, 'restart')
  expect(s.client.connection.value.retryAt! - s.clock.now()).toBe(1500)
})

test('the network goes and comes: the socket is dropped, and made at once', async () => {
  const s = await onlineScene()
  s.net.say('offline')
  expect(s.client.state).toBe('offline')
  expect(s.line().closed).toBe(true)
  await s.clock.pass(600_000)
  expect(s.lines).toHaveLength(1)
  s.net.say('online')
  await settle()
  expect(s.lines).toHaveLength(2)
  s.line().open()
  await settle()
  s.net.say('hide') // the page goes into the back/forward cache
  expect(s.line().closed).toBe(true)
  s.net.say('wake')
  await settle()
  expect(s.lines).toHaveLength(3)
})

test('a getToken that fails is asked again, one that says UNAUTHORIZED is not', async () => {
  let n = 0
  const s = scene({ getToken: async () => { if (n++ < 2) throw new Error('the page is busy'); return 't' } })
  s.client.connect()
  await settle()
  expect(s.client.state).toBe('waiting')
  await s.clock.pass(1500)
  expect(n).toBe(3)
  expect(s.lines).toHaveLength(1)

  const t = scene({ getToken: async () => { throw Object.assign(new Error('signed out'), { code: 'UNAUTHORIZED' }) } })
  t.client.connect()
  await settle()
  expect(t.client.connection.value).toMatchObject({ state: 'closed', error: { code: 'UNAUTHORIZED' } })
  expect(t.lines).toHaveLength(0)
})

test('a listener that throws is told to error, and breaks nothing', async () => {
  const s = scene(), errors: string[] = []
  s.client.on('connection', () => { throw new Error('mine') })
  s.client.on('error', e => errors.push(e.message))
  s.client.on('error', () => { throw new Error('this one too') })
  s.client.conversations.list().subscribe(() => { throw new Error('a view') })
  s.client.connect()
  await settle()
  s.line().open()
  await settle()
  expect(s.client.state).toBe('online')
  expect(errors).toContain('mine')
  expect(errors).toContain('a view')
})

test('several servers are tried in turn', async () => {
  const s = scene({ endpoint: ['https://a.example.com', { ws: 'wss://b.example.com/socket', rest: 'https://b.example.com/api/v2' }] })
  s.client.connect()
  await settle()
  s.line().end(1006)
  await s.clock.pass(500)
  s.line().end(1006)
  await s.clock.pass(1000)
  expect(s.lines.map(l => l.url)).toEqual(['wss://a.example.com/ws', 'wss://b.example.com/socket', 'wss://a.example.com/ws'])
})
