import 'fake-indexeddb/auto'
import { expect, test } from 'vitest'
import type { Conversation, Timeline, TroupeClient } from '../src/index.js'
import { Proxy } from './proxy.js'
import { Server, until } from './server.js'
import { clientOf, messages, online, text } from './world.js'

/** A dice whose throws follow from its seed. */
function dice(seed: number): (n: number) => number {
  return n => {
    seed = (Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0
    return ((seed ^ (seed >>> 13)) >>> 0) % n
  }
}

interface Person { name: string; client: TroupeClient; proxy: Proxy; talk: Conversation; line: Timeline }

test('whatever breaks, in the end everybody has the same messages, each once, in the order they were written', async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 100_000), throw_ = dice(seed)
  const server = await Server.start()
  const host = await online(server, 'host')
  const names = ['ann', 'bob', 'eve']
  for (const n of names) await (await online(server, n)).destroy()
  const group = await host.conversations.open({ members: names, title: 'All' })
  const people: Person[] = []
  const start = (name: string, proxy: Proxy): Person => {
    const client = clientOf(server, name, { endpoint: proxy.url, storage: 'indexeddb', app: 'chaos' + seed, reconnect: { minMs: 10, maxMs: 100 } })
    client.connect()
    const talk = client.conversations.get(group.id)
    return { name, client, proxy, talk, line: talk.timeline() }
  }
  for (const n of names) people.push(start(n, await Proxy.to(() => server.port)))
  const written: Record<string, string[]> = { ann: [], bob: [], eve: [] }

  for (let i = 0; i < 250; i++) {
    const at = throw_(people.length), p = people[at]!, what = throw_(100)
    if (what < 70) {
      const t = p.name + ' ' + i
      written[p.name]!.push(t)
      p.talk.send(t)
    } else if (what < 76) p.proxy.cut()
    else if (what < 80) { p.proxy.deaf = true; setTimeout(() => { p.proxy.cut(); p.proxy.deaf = false }, throw_(60)) }
    else if (what < 83) { p.proxy.closed = true; p.proxy.cut(); setTimeout(() => { p.proxy.closed = false }, throw_(100)) }
    else if (what < 93) {
      const m = messages(p.line).filter(m => m.seq)
      const one = m[throw_(Math.max(1, m.length))]
      if (one) void (what < 90 ? p.talk.react(one.id, '👍', what % 2 === 0) : p.talk.markRead(one.seq!) ?? Promise.resolve())?.catch(() => {})
    } else if (what < 96) { // a reload
      await p.client.destroy()
      people[at] = start(p.name, p.proxy)
    } else if (what < 97) { await server.kill(); await server.again() }
    if (what % 3 === 0) await new Promise(r => setTimeout(r, throw_(12)))
  }

  const all = Object.values(written).flat().length
  await until(`everything to be sent (SEED=${seed})`, () => people.every(p => p.client.state === 'online' && p.client.outbox.value.length === 0), 40_000)
    .catch(e => { throw new Error(e.message + JSON.stringify(people.map(p => [p.name, p.client.connection.value, p.client.outbox.value.map(m => [text(m), m.status, m.error?.code])]))) })
  const fresh = await online(server, 'ann', { app: 'fresh' }), line = fresh.conversations.get(group.id).timeline()
  await until('the log', () => line.status.value.loading === null && messages(line).length > 0)
  while (await line.older());
  const truth = messages(line)
  const about = (l: Timeline): unknown[] => messages(l).map(m => [m.seq, m.id, text(m), m.reactions.map(r => [r.emoji, r.count, [...r.users].sort()])])
  expect(truth.map(text).length, `SEED=${seed}`).toBe(all)
  expect(new Set(truth.map(text)).size).toBe(all)
  for (const n of names) expect(truth.filter(m => m.from === n).map(text), `SEED=${seed}, ${n}`).toEqual(written[n])
  for (const p of people) {
    while (await p.line.older());
    await until(`${p.name} to have all (SEED=${seed})`, () => JSON.stringify(about(p.line)) === JSON.stringify(about(line)), 10_000).catch(() => expect(about(p.line), `SEED=${seed}, ${p.name}`).toEqual(about(line)))
    const unread = (await online(server, p.name, { app: 'count' + seed })).conversations.list().value.find(v => v.id === group.id)!.unread
    await until(`${p.name}'s unread`, () => p.talk.view.value!.unread === unread, 10_000).catch(() => expect(p.talk.view.value!.unread, `SEED=${seed}, ${p.name}`).toBe(unread))
  }
}, 120_000)
