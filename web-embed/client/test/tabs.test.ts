import 'fake-indexeddb/auto'
import { openDB } from 'idb'
import { WebSocket } from 'ws'
import { expect, test } from 'vitest'
import type { ChannelLike, ClientOptions, LocksLike, TroupeClient } from '../src/index.js'
import { Proxy } from './proxy.js'
import { Server, until } from './server.js'
import { clientOf, online, pair, texts } from './world.js'

/** Web Locks, as all tabs of one browser share them. */
class Locks {
  #queue = new Map<string, { go: () => void; tab: object }[]>()
  #free = new Map<string, { tab: object; free: () => void }>()

  for(tab: object): LocksLike {
    return {
      request: (name, { signal }, work) => new Promise((done, fail) => {
        const entry = {
          tab,
          go: () => {
            let free!: () => void
            const killed = new Promise<void>(r => { free = r })
            this.#free.set(name, { tab, free })
            void Promise.race([work({}), killed]).then(v => {
              this.#free.delete(name)
              done(v)
              this.#queue.get(name)?.shift()?.go()
            })
          },
        }
        signal?.addEventListener('abort', () => {
          const q = this.#queue.get(name) ?? []
          if (q.includes(entry)) { q.splice(q.indexOf(entry), 1); fail(new DOMException('aborted', 'AbortError')) }
        })
        if (this.#free.has(name)) this.#queue.set(name, [...(this.#queue.get(name) ?? []), entry])
        else entry.go()
      }),
    }
  }

  /** The browser takes a dead tab's locks. */
  take(tab: object): void {
    for (const [name, q] of this.#queue) this.#queue.set(name, q.filter(e => e.tab !== tab))
    for (const l of [...this.#free.values()]) if (l.tab === tab) l.free()
  }
}

/** A tab of a browser, which can die without a word. */
class Tab {
  dead = false
  client!: TroupeClient
  constructor(readonly server: Server, readonly proxy: Proxy, readonly locks: Locks | null, o: Partial<ClientOptions>, channels = true) {
    const tab = this
    class Channel extends BroadcastChannel {
      override postMessage(m: unknown): void { if (!tab.dead) super.postMessage(m) }
    }
    class Socket extends WebSocket {
      override send(d: string): void { if (!tab.dead) super.send(d) }
    }
    this.client = clientOf(server, 'ann', {
      endpoint: proxy.url, WebSocket: Socket as never, storage: 'indexeddb',
      tabs: { ...(locks && { locks: locks.for(this) }), ...(channels && { BroadcastChannel: Channel as unknown as new (name: string) => ChannelLike }) }, ...o,
    })
    this.client.connect()
  }

  die(): void {
    this.dead = true
    this.proxy.closed = true
    this.proxy.cut()
    this.locks?.take(this)
  }
}

async function tabs(server: Server, locks: Locks | null, app: string): Promise<[Tab, Tab, Proxy, Proxy]> {
  const p1 = await Proxy.to(() => server.port), p2 = await Proxy.to(() => server.port)
  const one = new Tab(server, p1, locks, { app })
  await one.client.ready()
  const two = new Tab(server, p2, locks, { app })
  await two.client.ready()
  return [one, two, p1, p2]
}

test('two tabs share one socket, and show the same', async () => {
  const server = await Server.start(), bob = await online(server, 'bob')
  const [one, two, p1, p2] = await tabs(server, new Locks(), 'share')
  const [a, b] = await pair(one.client, bob)
  await until('the other tab to have it', () => two.client.conversations.list().value.length === 1)
  expect(p1.made).toBe(1)
  expect(p2.made).toBe(0)
  const a2 = two.client.conversations.get(a.id), t1 = a.timeline(), t2 = a2.timeline(), bt = b.timeline()
  await a.send('from the first').sent
  const out = a2.send('from the second')
  expect((await out.sent).seq).toBe(2)
  await b.send('to both').sent
  await until('all three', () => [t1, t2, bt].every(t => texts(t).length === 3))
  expect(texts(t2)).toEqual(['from the first', 'from the second', 'to both'])
  expect(texts(t1)).toEqual(texts(t2))
  expect(a2.view.value!.unread).toBe(1)
  a2.markRead()
  await until('it to be read in the first', () => a.view.value!.unread === 0)
  a2.setDraft('half a')
  await until('the draft', () => a.draft.value === 'half a')
  await a2.react((await out.sent).id, '🎉', true)
  await until('the reaction', () => t1.items.value.some(i => i.t === 'message' && i.message.reactions.length === 1))
  expect(two.client.users.get('bob').value.nickname).toBe('bob')
})

test('when the tab with the socket dies, the next one sends what was left, once', async () => {
  const server = await Server.start(), bob = await online(server, 'bob')
  const [one, two, p1, p2] = await tabs(server, new Locks(), 'dies')
  const [a, b] = await pair(one.client, bob)
  const bt = b.timeline()
  await until('the other tab to have it', () => two.client.conversations.list().value.length === 1)
  const a2 = two.client.conversations.get(a.id), t2 = a2.timeline()
  await a.send('before').sent
  await until('it', () => texts(t2).length === 1)
  p1.deaf = true // what is sent arrives, and is not acknowledged
  a.send('from the dying')
  const mine = a2.send('from the living')
  await until('the first of them to arrive', () => texts(bt).length === 2)
  one.die()
  await mine.sent
  expect(p2.made).toBe(1)
  await until('all of it', () => texts(bt).length === 3 && texts(t2).length === 3)
  expect(texts(bt)).toEqual(['before', 'from the dying', 'from the living'])
  expect(texts(t2)).toEqual(texts(bt))
  await b.send('and on').sent
  await until('the next', () => texts(t2).length === 4)
})

test('without locks each tab has a socket, and one of them sends', async () => {
  const server = await Server.start(), bob = await online(server, 'bob')
  const [one, two, p1, p2] = await tabs(server, null, 'lockless')
  expect([p1.made, p2.made]).toEqual([1, 1])
  const [a, b] = await pair(one.client, bob)
  const bt = b.timeline()
  await until('the other tab to have it', () => two.client.conversations.list().value.length === 1)
  const a2 = two.client.conversations.get(a.id), t1 = a.timeline(), t2 = a2.timeline()
  await a.send('one').sent
  await a2.send('two').sent
  await until('both', () => [t1, t2, bt].every(t => texts(t).length === 2))
  expect(texts(t1)).toEqual(['one', 'two'])
  expect(texts(t2)).toEqual(['one', 'two'])
})

test('signing out wipes what is stored, and ends the other tabs', async () => {
  const server = await Server.start(), bob = await online(server, 'bob')
  const [one, two] = await tabs(server, new Locks(), 'wipe')
  const [a] = await pair(one.client, bob)
  await a.send('secret').sent
  await one.client.destroy({ wipe: true })
  await until('the other tab to end', () => two.client.state === 'closed')
  const db = await openDB('troupe:wipe:ann')
  for (const table of db.objectStoreNames) expect(await db.count(table)).toBe(0)
  db.close()
})
