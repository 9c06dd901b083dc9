import type { Code, Id, Message, NewFile, Outgoing, SendOptions } from './api.js'
import type { Content, Entry } from './wire-types.js'
import type { Convo } from './convo.js'
import type { Core } from './core.js'
import type { Sender } from './sender.js'
import { Cell } from './live.js'
import { deed, type Prepared } from './content.js'
import { newId } from './env.js'
import { TroupeError } from './error.js'

/** A message that waits, is on its way, or was refused. Never changed, but replaced. */
export interface Sending {
  clientId: string
  conversation: Id
  at: number
  /** In which order it was written. */
  n: number
  /** Since when it waits: its time is counted from here. */
  since: number
  content: Content
  mentions?: string[]
  replyTo?: Id
  expire?: number
  files?: NewFile[]
  /** What is kept of uploads under way, by file. */
  uploads?: (string | undefined)[]
  state: 'queued' | 'uploading' | 'sending' | 'sent' | 'failed'
  error?: { code: Code; message: string }
  /** It may have reached the server. */
  tried?: boolean
  /** How often the server had trouble with it. */
  troubles?: number
  progress?: number
  hidden?: boolean
  id?: Id
  seq?: number
}

interface Watcher {
  out: Outgoing
  message: Cell<Message>
  progress: Cell<number>
  sent: Promise<Message>
  yes(m: Message): void
  no(e: TroupeError): void
}

/**
 * What was written and is not acknowledged. It is stored before it is sent, and goes out
 * again after a break unchanged and under the same id: the server stores it once. One
 * message of a conversation is under way at a time, as only so they keep their order when
 * the server asks to wait; of several conversations eight. How they go out is sender.ts, which
 * comes with the first connection.
 */
export class Outbox {
  #items = new Map<string, Sending>()
  #watchers = new Map<string, Watcher>()
  readonly aborts = new Map<string, AbortController>()
  #sender: Promise<Sender> | null = null
  #retry: unknown
  #flushing = false
  #again = false
  #told = ''
  #n = 0

  constructor(readonly core: Core) {}

  of(conversation: Id): Sending[] { return [...this.#items.values()].filter(s => s.conversation === conversation) }
  item(clientId: string): Sending | undefined { return this.#items.get(clientId) }
  get #waits(): boolean { return this.all.some(s => s.state !== 'sent' && s.state !== 'failed') }
  get all(): Sending[] { return [...this.#items.values()] }

  add(conversation: Id, p: Prepared, o: SendOptions): Outgoing {
    const clientId = o.clientId ?? newId(this.core.env.clock)
    const had = this.#watchers.get(clientId)
    if (had) return had.out
    const now = this.core.serverNow
    const w = this.#watch(clientId, conversation)
    if (!this.#items.has(clientId)) {
      this.put({
        clientId, conversation, at: now, n: (this.#n = Math.max(this.#n + 1, now * 1000)), since: now, content: p.content, state: 'queued', ...(p.mentions && { mentions: p.mentions }), ...(p.files && { files: p.files }),
        ...(o.replyTo && { replyTo: o.replyTo }), ...(o.expire && { expire: o.expire }), ...(deed(p.content) && { hidden: true }),
      })
    }
    void this.flush()
    return w.out
  }

  #watch(clientId: string, conversation: Id): Watcher {
    const c = this.core.convo(conversation)
    const message = new Cell<Message>(this.core.bell, undefined, old => {
      const s = this.#items.get(clientId)
      const e = s?.id ? c.find(s.id) : old?.seq ? c.find(old.id) : undefined
      return e ? c.message_(e) : s ? c.waiting(s) : old!
    })
    const progress = new Cell(this.core.bell, 0)
    const w = { message, progress } as Watcher
    w.out = { clientId, message, progress, get sent() { return w.sent }, retry: () => this.retry(clientId), cancel: () => this.cancel(clientId) }
    this.#promise(w)
    this.#watchers.set(clientId, w)
    return w
  }

  #promise(w: Watcher): void {
    w.sent = new Promise<Message>((yes, no) => { w.yes = yes; w.no = no })
    w.sent.catch(() => {}) // nobody has to look
  }

  /** The handle of a message that waits, also of an earlier start or another tab. */
  handle(clientId: string): Outgoing | null {
    const s = this.#items.get(clientId)
    return this.#watchers.get(clientId)?.out ?? (s ? this.#watch(clientId, s.conversation).out : null)
  }

  /** Puts an item as it is now, keeps it, and tells everybody. */
  put(s: Sending, told = false): void {
    const old = this.#items.get(s.clientId)
    this.#items.set(s.clientId, s)
    if (s.state === 'sent') this.core.keepDrop('outbox', s.clientId)
    else if (!told && (old?.state !== s.state || old.uploads !== s.uploads || old.content !== s.content)) {
      const { progress: _, ...row } = s
      this.core.keep('outbox', s.clientId, () => row, true)
    }
    if (!told) this.core.share({ t: 'out', item: s })
    this.#tell(s, old)
  }

  #tell(s: Sending, old?: Sending): void {
    const c = this.core.convo(s.conversation)
    c.touch()
    const w = this.#watchers.get(s.clientId)
    w?.message.touch()
    if (s.progress !== undefined) w?.progress.set(s.progress)
    this.core.outboxChanged()
    if (old && old.state !== s.state) {
      this.core.emit('message:change', c.waiting(s))
      if (s.state === 'failed') w?.no(new TroupeError(s.error!.code, s.error!.message))
      if (s.state === 'sent' && w) {
        void w.message.value // it knows its id from here on
        queueMicrotask(() => { // when it has its place in the log
          w.message.touch()
          w.yes(w.message.value)
        })
      }
      if (old.state === 'failed' && w) this.#promise(w) // it is tried again
      if (s.state === 'sent') this.#watchers.delete(s.clientId)
    }
    const all = this.all, failed = all.filter(x => x.state === 'failed').length, pending = all.filter(x => x.state !== 'sent').length - failed
    if (this.#told !== (this.#told = pending + '/' + failed)) this.core.emit('outbox', { pending, failed })
  }

  /** Another tab says how one of its messages stands. */
  heard(s: Sending): void {
    this.put(s, true)
    if (this.core.leads && s.state === 'queued') void this.flush()
  }

  forget(clientId: string, told = false): void {
    const s = this.#items.get(clientId)
    if (!s) return
    this.aborts.get(clientId)?.abort()
    this.#items.delete(clientId)
    this.core.keepDrop('outbox', clientId)
    if (!told) this.core.share({ t: 'unsent', id: clientId })
    this.#watchers.get(clientId)?.no(new TroupeError('CANCELLED'))
    this.#watchers.delete(clientId)
    this.#tell(s)
  }

  retry(clientId: string): void {
    const s = this.#items.get(clientId)
    if (s?.state !== 'failed') return
    const { error: _, ...again } = s
    this.put({ ...again, state: 'queued', since: this.core.serverNow, troubles: 0 })
    void this.flush()
  }

  cancel(clientId: string): boolean {
    const s = this.#items.get(clientId)
    if (!s || s.state === 'sent' || s.state === 'sending' || (s.tried && s.state !== 'failed')) return false
    this.forget(clientId)
    if (s.uploads) this.core.uploads.drop(s.uploads)
    return true
  }

  /** An entry of the log: if it is one of ours, that is its acknowledgement. */
  arrived(e: Entry): void {
    if (e.sender !== this.core.myId || !e.clientMsgId) return
    const s = this.#items.get(e.clientMsgId)
    if (s && s.conversation === e.session && s.state !== 'sent') this.put({ ...s, state: 'sent', at: e.createdAt, id: e.messagerecvId, seq: e.seq })
  }

  /** What has its place in the log is shown from there. */
  placed(c: Convo): void {
    for (const s of this.of(c.id)) {
      if (s.state !== 'sent' || !s.seq || (c.lines.size && (!c.seg || c.seg.high < s.seq))) continue
      this.#items.delete(s.clientId)
      this.core.outboxChanged()
    }
  }

  /** Keeps what was written before there was a place to keep it. */
  keepAll(): void { for (const s of this.all) if (s.state !== 'sent') this.core.keep('outbox', s.clientId, () => this.#items.get(s.clientId) ?? s, true) }

  /** Reads what an earlier start or another tab has left. */
  async reload(): Promise<void> {
    const rows = await this.core.stored('outbox', {})
    for (const { value } of rows) {
      const s = value as Sending
      if (!this.#items.has(s.clientId)) this.put(s.state === 'sending' || s.state === 'uploading' ? { ...s, state: 'queued' } : s, true)
    }
    this.#items = new Map([...this.#items].sort(([, a], [, b]) => a.n - b.n))
    this.interrupted()
  }

  /** What was under way is to be sent again. */
  interrupted(): void {
    for (const s of this.all) if (s.state === 'sending' && this.core.leads) this.put({ ...s, state: 'queued' })
  }

  /** What brings it out, loaded ahead when there is a connection. */
  sender(): Promise<Sender> {
    return (this.#sender ??= import('./sender.js').then(m => new m.Sender(this), e => { this.#sender = null; throw e }))
  }

  /** Sends what waits. */
  async flush(): Promise<void> {
    if (!this.core.leads) return this.core.share({ t: 'flush' })
    if (this.#flushing) { this.#again = true; return }
    this.#flushing = true
    try {
      do {
        this.#again = false
        if (!this.core.online || !this.#waits) return
        const sender = await this.sender().catch(() => null)
        if (!sender) return this.later(5000)
        await this.core.kept() // stored before it is sent
        if (!this.core.online || !this.#waits) return
        if (!(await this.core.mayFlush())) return this.later(5000)
        sender.round()
      } while (this.#again)
    } finally {
      this.#flushing = false
    }
  }

  later(ms: number): void {
    this.core.env.clock.clearTimeout(this.#retry)
    this.#retry = this.core.env.clock.setTimeout(() => void this.flush(), ms)
  }

  stop(): void {
    this.core.env.clock.clearTimeout(this.#retry)
    for (const a of this.aborts.values()) a.abort()
  }
}
