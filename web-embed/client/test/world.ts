import { WebSocket } from 'ws'
import { onTestFinished } from 'vitest'
import { createClient, type ClientOptions, type Conversation, type Item, type Message, type NetSource, type Timeline, type TroupeClient } from '../src/index.js'
import type { Server } from './server.js'
import { until } from './server.js'

/** Makes a client of user against the real server, until the test ends. */
export function clientOf(server: Server, user: string, o: Partial<ClientOptions> = {}): TroupeClient {
  const c = createClient({
    endpoint: server.url, app: 'test', userId: user, getToken: async () => server.token(user), WebSocket: WebSocket as never, storage: 'memory',
    reconnect: { minMs: 20, maxMs: 300 }, ...o,
  })
  onTestFinished(() => c.destroy())
  return c
}

export async function online(server: Server, user: string, o: Partial<ClientOptions> = {}): Promise<TroupeClient> {
  const c = clientOf(server, user, o)
  c.connect()
  await c.ready()
  return c
}

/** A network that the test turns on and off. */
export class Net implements NetSource {
  online = true
  visible = true
  #listeners = new Set<(what: 'online' | 'offline' | 'wake' | 'hide') => void>()
  subscribe(f: (what: 'online' | 'offline' | 'wake' | 'hide') => void): () => void {
    this.#listeners.add(f)
    return () => { this.#listeners.delete(f) }
  }
  say(what: 'online' | 'offline' | 'wake' | 'hide'): void {
    if (what === 'online' || what === 'offline') this.online = what === 'online'
    for (const f of [...this.#listeners]) f(what)
  }
}

export const messages = (t: Timeline): Message[] => t.items.value.filter((i): i is Extract<Item, { t: 'message' }> => i.t === 'message').map(i => i.message)
export const text = (m: Message): string => m.parts.map(p => (p.t === 'text' ? p.text : '')).join('')
export const texts = (t: Timeline): string[] => messages(t).map(text)

/** The conversation of two, as each of them sees it. */
export async function pair(a: TroupeClient, b: TroupeClient): Promise<[Conversation, Conversation]> {
  const mine = await a.conversations.open({ user: b.me!.id })
  await until('the other to see it', () => b.conversations.list().value.some(v => v.id === mine.id))
  return [mine, b.conversations.get(mine.id)]
}
