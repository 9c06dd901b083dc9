import type { ClientOptions, ConnectionInfo, Connection, WebSocketLike } from './api.js'
import type { Answers, AuthReply, Base, Frames, Resume } from './wire-types.js'
import type { Env } from './env.js'
import type { Tokens } from './tokens.js'
import { TroupeError, failure } from './error.js'

/** Any frame, as it is read. */
export type Any = { type: string } & Base & Record<string, any>

export type Ask = <K extends keyof Answers>(type: K, fields: Frames[K], patience?: number) => Promise<Answers[K] & Base>

const patience = 15_000 // ms for an answer
const alive = 10_000 // ms in which a sign of life has to be answered
const probe = 3_000 // the same, after a sleep
const steady = 30_000 // ms online after which the next break begins with short waits
const longest = 86_400_000 // a timer beyond 2^31 ms would ring at once

// Close codes and refusals after which coming again is of no use before something has changed.
const ends: Record<number, TroupeError['code']> = { 4501: 'UNAUTHORIZED', 4503: 'ORIGIN_REFUSED', 4509: 'REPLACED', 4526: 'CLIENT_TOO_OLD' }

interface Waiting {
  yes(f: any): void
  no(e: TroupeError): void
  timer: unknown
  bytes: number
  heard: number
}

export interface WireHooks {
  info(i: ConnectionInfo): void
  /** Signed in. The missed events follow it, or it has a snapshot. */
  welcome(f: AuthReply & Base): void
  /** What was missed has all come. */
  settled(missed: number): void
  frame(f: Any): void
}

/** One socket, made again whenever it breaks: signing in, signs of life, requests and answers. */
export class Wire {
  info: ConnectionInfo = { state: 'idle', attempt: 0 }
  position: Resume | null = null
  /** What is added to this machine's clock to have the server's. */
  skew = 0
  #ws: WebSocketLike | null = null
  #round = 0 // a dial's number: what an older one still says is not heard
  #tries = 0
  #server = 0
  #ids = 0
  #waiting = new Map<string, Waiting>()
  #timers: Record<string, unknown> = {}
  #heard = 0 // frames so far
  #beatMs = 30_000
  #reason: 'initial' | 'expiring' | 'rejected' = 'initial'
  #refused = false // the newest token was refused before anything else
  #away = 0
  #missed = 0
  #unlisten: (() => void) | null = null

  constructor(readonly env: Env, readonly o: ClientOptions, readonly tokens: Tokens, readonly device: () => string, readonly hooks: WireHooks) {}

  get live(): boolean { return this.info.state === 'online' || this.info.state === 'syncing' }

  start(): void {
    if (this.#unlisten) return
    this.#unlisten = this.env.net.subscribe(what => {
      if (what === 'offline') this.#lost('offline')
      else if (what === 'hide') this.#lost('waiting', Infinity)
      else this.wake()
    })
    if (this.env.net.online) void this.#dial()
    else this.#become('offline')
  }

  stop(state: 'idle' | 'closed' = 'idle', error?: TroupeError): void {
    this.#unlisten?.()
    this.#unlisten = null
    this.#round++
    this.#drop()
    this.#tries = 0
    this.#become(state, error && { error })
  }

  /** Looks at the connection now: asks for a sign of life, or dials. */
  wake(): void {
    if (!this.#unlisten) return
    if (this.info.state === 'online') void this.#beat(probe)
    else if (this.info.state === 'waiting' || this.info.state === 'offline') void this.#dial()
  }

  request: Ask = (type, fields, within = patience) => {
    if (!this.live) return Promise.reject(new TroupeError('OFFLINE', 'not connected'))
    const id = String(++this.#ids)
    return new Promise((yes, no) => {
      const timer = this.env.clock.setTimeout(() => this.#unanswered(id), within)
      const text = JSON.stringify({ type, id, ...fields })
      this.#waiting.set(id, { yes, no, timer, bytes: text.length, heard: this.#heard })
      this.#write(text)
    })
  }

  // --- dialling

  async #dial(): Promise<void> {
    this.#drop()
    const round = ++this.#round
    this.#become('connecting')
    let token: string
    try {
      token = await this.tokens.get(this.#reason)
    } catch (e) {
      if (round !== this.#round) return
      const f = failure(e)
      return f.code === 'UNAUTHORIZED' ? this.#end(f) : this.#later(f)
    }
    if (round !== this.#round) return
    this.#reason = 'initial'
    let ws: WebSocketLike
    try {
      ws = this.#ws = new this.env.WebSocket(this.env.servers[this.#server % this.env.servers.length]!.ws)
    } catch (e) {
      return this.#later(failure(e))
    }
    this.#timer('open', patience, () => this.#later(new TroupeError('TIMEOUT', 'the server does not answer')))
    ws.onopen = () => {
      if (ws !== this.#ws) return
      const { kind, version } = this.o.device ?? {}
      this.#write(JSON.stringify({
        type: 'auth', id: 'auth', token, device: this.device(), platform: kind ?? 'web', version, resume: this.position ?? undefined,
      }))
    }
    ws.onmessage = m => { if (ws === this.#ws) this.#read(m.data) }
    ws.onclose = c => { if (ws === this.#ws) this.#closed(c.code, c.reason) }
    ws.onerror = () => {} // a close follows
  }

  #write(text: string): void {
    try {
      this.#ws?.send(text)
    } catch (e) {
      this.#later(failure(e))
    }
  }

  #read(data: unknown): void {
    this.#heard++
    let f: Any
    try {
      f = JSON.parse(String(data))
    } catch {
      return this.#later(new TroupeError('BAD_REQUEST', 'the server said what is no frame'))
    }
    if (f.type === 'auth_reply' && f.id === 'auth') return this.#welcomed(f as any)
    const w = f.id !== undefined && this.#waiting.get(f.id)
    if (w) {
      this.#waiting.delete(f.id!)
      this.env.clock.clearTimeout(w.timer)
      if (f.errcode) w.no(new TroupeError((f.code ?? 'INTERNAL') as TroupeError['code'], f.error, f.retryAfterMs))
      else w.yes(f)
      return
    }
    if (f.type === 'goaway') {
      this.#away = f['retryInMs'] || 1
      this.#timer('away', this.#away, () => this.#closed(4000, 'goaway'))
      return
    }
    if (f.offset && this.position) {
      if (f.offset > this.position.offset) this.position.offset = f.offset
      this.#missed++
    }
    this.hooks.frame(f)
  }

  #welcomed(f: AuthReply & Base): void {
    this.#timer('open')
    if (f.errcode) return this.#turnedAway(new TroupeError((f.code ?? 'INTERNAL') as TroupeError['code'], f.error, f.retryAfterMs))
    this.#refused = false
    this.skew = f.serverTime - this.env.clock.now()
    this.#beatMs = f.heartbeatMs || 30_000
    this.position = { epoch: f.epoch, offset: f.offset ?? 0 }
    this.#missed = 0
    const round = this.#round
    this.#become('syncing')
    this.hooks.welcome(f)
    if (round !== this.#round) return // whoever was told has ended it
    this.#renewLater(f)
    if (f.snapshot) return this.#settle()
    // The answer comes behind everything that was missed.
    this.request('heartbeat', {}).then(h => {
      if (round !== this.#round) return
      this.hooks.frame(h as unknown as Any)
      this.#settle()
    }, () => {})
  }

  #settle(): void {
    this.#timer('steady', steady, () => { this.#tries = 0 })
    this.hooks.settled(this.#missed)
    this.#become('online')
    this.#timer('beat', this.#beatMs * 0.8, () => void this.#beat(alive))
  }

  // --- signs of life

  /** Asks for one. Its answer names the heads that moved, so that a lost last message is noticed. */
  async #beat(within: number): Promise<void> {
    const round = this.#round, before = this.#heard
    this.#timer('alive', within, () => {
      if (this.#heard === before) void this.#dial() // nothing at all: the socket is dead
    })
    this.#timer('beat', this.#beatMs * 0.8, () => void this.#beat(alive))
    try {
      const f = await this.request('heartbeat', {}, 2 * patience)
      if (round !== this.#round) return
      this.#timer('alive')
      this.skew = f.serverTime - this.env.clock.now()
      this.hooks.frame(f as unknown as Any)
    } catch { /* the connection ended */ }
  }

  #unanswered(id: string): void {
    const w = this.#waiting.get(id)
    if (!w) return
    this.#waiting.delete(id)
    w.no(new TroupeError('TIMEOUT', 'no answer'))
    if (this.#heard === w.heard) void this.#dial()
  }

  // --- the token

  #renewLater(f: AuthReply): void {
    if (f.expiresAt) this.#timer('renew', Math.min(longest, Math.max(1000, (f.expiresAt - f.serverTime) * 0.8)), () => void this.#renew())
  }

  /** A second auth on the live socket: nothing is interrupted. */
  async #renew(wait = 1000): Promise<void> {
    const round = this.#round
    try {
      const token = await this.tokens.get('expiring')
      if (round !== this.#round) return
      const { kind, version } = this.o.device ?? {}
      const f = await this.request('auth', { token, device: this.device(), platform: kind ?? 'web', ...(version && { version }) })
      if (round === this.#round) this.#renewLater(f)
    } catch (e) {
      if (round !== this.#round) return
      if (failure(e).code === 'UNAUTHORIZED') return this.#end(failure(e))
      this.#timer('renew', wait, () => void this.#renew(Math.min(2 * wait, 30_000)))
    }
  }

  // --- ends

  /** A token that is refused is renewed once; refused again, the login has ended. */
  #turnedAway(e: TroupeError): void {
    if (e.code === 'FORGET_POSITIONS') this.position = null
    if (e.code === 'UNAUTHORIZED' || e.code === 'TOKEN_EXPIRED') {
      this.#reason = 'rejected'
      if (this.#refused) return e.code === 'UNAUTHORIZED' ? this.#end(e) : this.#later(e)
      this.#refused = true
      void this.#dial()
    } else if (Object.values(ends).includes(e.code)) this.#end(e)
    else this.#later(e)
  }

  #closed(code: number, reason: string): void {
    if (code === 4001 || code === 4501) return this.#turnedAway(new TroupeError(code === 4001 ? 'TOKEN_EXPIRED' : 'UNAUTHORIZED', reason))
    if (code >= 4500 && code < 5000) return this.#end(new TroupeError(ends[code] ?? 'UNAUTHORIZED', reason))
    if (code === 4002) this.position = null
    if (code === 1009) { // one of those that wait was too large: none of them goes out again
      for (const [id, w] of this.#waiting) if (w.bytes > 4096) this.#fail(id, new TroupeError('FRAME_TOO_LARGE', reason))
    }
    const names: Record<number, TroupeError['code']> = { 4000: 'GOAWAY', 4003: 'TOO_SLOW', 4408: 'IDLE', 1009: 'FRAME_TOO_LARGE' }
    this.#later(new TroupeError(names[code] ?? 'NETWORK', reason || 'the connection broke'))
  }

  #end(e: TroupeError): void {
    this.tokens.forget()
    this.stop('closed', e)
  }

  /** Dials again after a pause: full jitter, or as the server wants the reconnects spread. */
  #later(error: TroupeError): void {
    const { minMs = 500, maxMs = 20_000 } = this.o.reconnect ?? {}
    const top = Math.min(maxMs, minMs * 2 ** Math.min(this.#tries++, 20))
    const wait = this.#away ? this.#away * this.env.clock.random() : Math.max(error.retryAfterMs ?? 0, top * this.env.clock.random())
    this.#away = 0
    this.#server++
    this.#lost('waiting', wait, error)
  }

  #lost(state: 'waiting' | 'offline', wait = Infinity, error?: TroupeError): void {
    this.#round++
    this.#drop()
    if (!this.env.net.online) state = 'offline'
    if (state === 'waiting' && wait < Infinity) {
      this.#timer('dial', wait, () => void this.#dial())
      this.#become(state, { retryAt: this.env.clock.now() + wait, ...(error && { error }) })
    } else this.#become(state, error && { error })
  }

  #drop(): void {
    const ws = this.#ws
    this.#ws = null
    for (const k in this.#timers) this.#timer(k)
    try { ws?.close() } catch { /* it was not open yet */ }
    for (const id of [...this.#waiting.keys()]) this.#fail(id, new TroupeError('NETWORK', 'the connection broke'))
  }

  #fail(id: string, e: TroupeError): void {
    const w = this.#waiting.get(id)
    this.#waiting.delete(id)
    this.env.clock.clearTimeout(w?.timer)
    w?.no(e)
  }

  #become(state: Connection, more?: Partial<ConnectionInfo>): void {
    this.info = { state, attempt: state === 'online' ? 0 : this.#tries, ...more }
    this.hooks.info(this.info)
  }

  #timer(name: string, ms?: number, f?: () => void): void {
    this.env.clock.clearTimeout(this.#timers[name])
    if (f) this.#timers[name] = this.env.clock.setTimeout(f, ms!)
    else delete this.#timers[name]
  }
}
