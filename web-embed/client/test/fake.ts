import { onTestFinished } from 'vitest'
import { createClient, type Clock, type ClientOptions, type TroupeClient, type WebSocketConstructor } from '../src/index.js'
import '../src/acts.js' // loaded already: a clock that stands does not wait for it
import '../src/sender.js'
import '../src/tabs.js'
import { Net } from './world.js'

/** A clock that stands still until it is moved. */
export class FakeClock implements Clock {
  #now = 1_760_000_000_000
  #timers = new Map<number, { at: number; f: () => void }>()
  #n = 0
  dice = 1
  now(): number { return this.#now }
  random(): number { return this.dice }
  setTimeout(f: () => void, ms: number): unknown {
    this.#timers.set(++this.#n, { at: this.#now + ms, f })
    return this.#n
  }
  clearTimeout(t: unknown): void { this.#timers.delete(t as number) }

  /** Lets ms pass, timer by timer. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      await settle()
      const next = [...this.#timers].filter(([, t]) => t.at <= end).sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0]
      if (!next) break
      this.#timers.delete(next[0])
      this.#now = Math.max(this.#now, next[1].at)
      next[1].f()
    }
    this.#now = end
    await settle()
  }
}

/** Lets everything run that waits for nothing. */
export async function settle(): Promise<void> { for (let i = 0; i < 20; i++) await new Promise(r => setImmediate(r)) }

/** One socket, as the server sees it. */
export class Line {
  readyState = 0
  onopen: ((e: unknown) => void) | null = null
  onmessage: ((e: { data: unknown }) => void) | null = null
  onclose: ((e: { code: number; reason: string }) => void) | null = null
  onerror: ((e: unknown) => void) | null = null
  sent: any[] = []
  closed = false
  constructor(readonly url: string, readonly answer: (f: any, l: Line) => object | undefined) {}
  send(text: string): void {
    const f = JSON.parse(text)
    this.sent.push(f)
    const a = this.answer(f, this)
    if (a) queueMicrotask(() => this.say({ type: f.type + '_reply', id: f.id, errcode: 0, ...a }))
  }
  close(): void { this.closed = true }
  open(): void { this.onopen?.({}) }
  say(f: object): void { this.onmessage?.({ data: JSON.stringify(f) }) }
  end(code: number, reason = ''): void { this.onclose?.({ code, reason }) }
}

export interface Scene {
  client: TroupeClient
  clock: FakeClock
  net: Net
  lines: Line[]
  line(): Line
  /** Frames of a type that were sent on the newest line. */
  asked(type: string): any[]
  /** What the server answers, by type, in place of the usual. */
  answers: Record<string, (f: any) => object | undefined>
}

export const head = (session: string, more: object = {}): object => ({
  session, sessionType: 'group', name: session, headSeq: 0, readSeq: 0, unread: 0, updatedAt: 1, sticky: false, muted: false, epoch: 'l', memberCount: 2, ...more,
})

/** A client against a server of a few lines, on a clock that stands. */
export function scene(o: Partial<ClientOptions> = {}, sessions: object[] = [head('s')]): Scene {
  const clock = new FakeClock(), net = new Net(), lines: Line[] = []
  const answers: Scene['answers'] = {}
  const usual: Scene['answers'] = {
    auth: f => (f.id === 'auth'
      ? { userId: 'ann', serverTime: clock.now(), heartbeatMs: 30_000, epoch: 'e', offset: 0, connection: 'k', ...(f.resume ? { resumed: true, offset: f.resume.offset } : { resumed: false, snapshot: { sessions, unreadTotal: 0, requests: [] } }) }
      : { userId: 'ann', serverTime: clock.now(), heartbeatMs: 30_000, epoch: 'e', resumed: true }),
    heartbeat: () => ({ serverTime: clock.now(), heads: {} }),
    sync: () => ({ session: 's', messages: [], headSeq: 0, hasMore: false, epoch: 'l' }),
    session_get: f => ({ info: { session: f.session, sessionType: 'group', creator: 'ann', createdAt: 1, members: [{ user: 'ann', role: 'owner', order: 1 }, { user: 'bob', role: 'member', order: 2 }], memberCount: 2 } }),
    msg_read: f => ({ session: f.session, readSeq: f.seq }),
    user_get: () => ({ users: [] }),
    contact_list: () => ({ contacts: [] }),
  }
  const Socket = class { constructor(url: string) { const l = new Line(url, f => (answers[f.type] ?? usual[f.type])?.(f)); lines.push(l); return l } }
  const client = createClient({ endpoint: 'https://im.example.com', userId: 'ann', getToken: async () => 't', storage: 'memory', WebSocket: Socket as unknown as WebSocketConstructor, clock, net, ...o })
  onTestFinished(() => client.destroy())
  const line = (): Line => lines.at(-1)!
  return { client, clock, net, lines, line, answers, asked: type => line().sent.filter(f => f.type === type) }
}

/** The same, online. */
export async function onlineScene(o: Partial<ClientOptions> = {}, sessions?: object[]): Promise<Scene> {
  const s = scene(o, sessions)
  s.client.connect()
  await settle()
  s.line().open()
  await settle()
  return s
}
