import type { ChannelLike, ConnectionInfo, Id, LocksLike, TabOptions } from './api.js'
import type { AuthReply, Base, Resume } from './wire-types.js'
import type { Any, Ask } from './wire.js'
import type { Sending } from './outbox.js'
import { TroupeError, failure } from './error.js'

/** What tabs of one user tell each other. */
export type Said =
  | { t: 'hi' }
  | { t: 'state'; info: ConnectionInfo; me: Id; skew: number; position: Resume | null }
  | { t: 'frame'; f: Any }
  | { t: 'welcome'; f: AuthReply & Base }
  | { t: 'settled'; missed: number }
  | { t: 'ask'; n: number; type: string; fields: object }
  | { t: 'answer'; to: string; n: number; f?: Any; e?: { code: string; message: string; retryAfterMs?: number | undefined } }
  | { t: 'out'; item: Sending }
  | { t: 'unsent'; id: string }
  | { t: 'flush' }
  | { t: 'read'; id: Id; seq: number }
  | { t: 'mind'; id: Id; seq: number }
  | { t: 'draft'; id: Id; text: string }
  | { t: 'watch'; users: Id[] }
  | { t: 'wiped' }

const patience = 20_000 // ms for the leader's answer

/**
 * The tabs of one user. Whoever holds the lock has the socket and the outbox; the others ask
 * through it, and hear what it hears. Without locks each has its own socket.
 */
export class Tabs {
  /** This one has the socket. */
  leads = false
  /** There are locks: one of the tabs leads. */
  readonly shared: boolean
  readonly id = Math.random().toString(36).slice(2)
  #channel: ChannelLike | null = null
  #locks: LocksLike | undefined
  #release: (() => void) | null = null
  #wait: AbortController | null = null
  #asks = new Map<number, { yes(f: any): void; no(e: TroupeError): void; timer: ReturnType<typeof setTimeout> }>()
  #n = 0

  constructor(readonly name: string, o: false | TabOptions | undefined, mayLock: boolean, readonly hear: (m: Said, from: string) => void, readonly lead: (on: boolean) => void) {
    const g = globalThis as { navigator?: { locks?: LocksLike }; BroadcastChannel?: new (name: string) => ChannelLike; document?: unknown }
    const page = !!g.document // elsewhere nothing is shared unless it is asked for
    this.#locks = o === false || !mayLock ? undefined : o?.locks ?? (page ? g.navigator?.locks : undefined)
    const Channel = o === false ? undefined : o?.BroadcastChannel ?? (page ? g.BroadcastChannel : undefined)
    if (Channel) {
      this.#channel = new Channel(name)
      ;(this.#channel as { unref?(): void }).unref?.()
      this.#channel.onmessage = e => this.#heard(e.data as { from: string; m: Said })
    }
    this.shared = !!this.#locks && !!this.#channel
  }

  /** Leads as soon as nobody else does. */
  join(): void {
    if (!this.shared) {
      this.leads = true
      return this.lead(true)
    }
    if (this.#wait) return
    const wait = (this.#wait = new AbortController())
    this.#locks!.request(this.name, { signal: wait.signal }, () => new Promise<void>(free => {
      if (wait.signal.aborted) return free()
      this.#release = free
      this.leads = true
      this.lead(true)
    })).catch(() => {})
    this.say({ t: 'hi' })
  }

  /** Lets another one lead. */
  part(): void {
    this.#wait?.abort()
    this.#wait = null
    const led = this.leads
    this.leads = false
    if (led) this.lead(false)
    this.#release?.()
    this.#release = null
  }

  say(m: Said): void {
    try {
      this.#channel?.postMessage({ from: this.id, m })
    } catch { /* it was closed, or something cannot be cloned */ }
  }

  /** Asks the one who leads. */
  ask: Ask = (type, fields) => new Promise((yes, no) => {
    const n = ++this.#n
    const timer = setTimeout(() => { this.#asks.delete(n); no(new TroupeError('TIMEOUT', 'no answer')) }, patience)
    this.#asks.set(n, { yes, no, timer })
    this.say({ t: 'ask', n, type, fields })
  })

  /** Whoever was asked is gone: nobody knows whether it was done. */
  lost(): void {
    for (const [n, a] of this.#asks) {
      clearTimeout(a.timer)
      this.#asks.delete(n)
      a.no(new TroupeError('NETWORK', 'the tab with the connection ended'))
    }
  }

  /** Asks the socket for another tab. */
  async answer(to: string, n: number, ask: Promise<unknown>): Promise<void> {
    try {
      this.say({ t: 'answer', to, n, f: (await ask) as Any })
    } catch (e) {
      const { code, message, retryAfterMs } = failure(e)
      this.say({ t: 'answer', to, n, e: { code, message, retryAfterMs } })
    }
  }

  #heard({ from, m }: { from: string; m: Said }): void {
    if (m.t !== 'answer') return this.hear(m, from)
    const a = m.to === this.id ? this.#asks.get(m.n) : undefined
    if (!a) return
    this.#asks.delete(m.n)
    clearTimeout(a.timer)
    if (m.e) a.no(new TroupeError(m.e.code as TroupeError['code'], m.e.message, m.e.retryAfterMs))
    else a.yes(m.f)
  }

  close(): void {
    this.part()
    this.lost()
    this.#channel?.close()
    this.#channel = null
  }
}
