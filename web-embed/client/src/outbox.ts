import type { Code, Id, Message, NewFile, Outgoing, SendOptions } from './api.js'
import type { Content, Entry } from './wire-types.js'
import type { Convo } from './convo.js'
import type { Core } from './core.js'
import { Cell } from './live.js'
import { deed, name, type Prepared } from './content.js'
import { newId } from './env.js'
import { TroupeError, failure } from './error.js'

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

const uploads = 2 // at a time
const troubles = 5 // times that INTERNAL is asked again

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
 * the server asks to wait; of several conversations eight.
 */
export class Outbox {
  #items = new Map<string, Sending>()
  #watchers = new Map<string, Watcher>()
  #aborts = new Map<string, AbortController>()
  #retry: unknown
  #flushing = false
  #again = false
  #told = ''
  #n = 0
  #hold = new Map<Id, number>() // until when nothing of a conversation ("": of any) is sent

  constructor(readonly core: Core) {}

  of(conversation: Id): Sending[] { return [...this.#items.values()].filter(s => s.conversation === conversation) }
  get all(): Sending[] { return [...this.#items.values()] }

  add(conversation: Id, p: Prepared, o: SendOptions): Outgoing {
    const clientId = o.clientId ?? newId(this.core.env.clock)
    const had = this.#watchers.get(clientId)
    if (had) return had.out
    const now = this.core.serverNow
    const w = this.#watch(clientId, conversation)
    if (!this.#items.has(clientId)) {
      this.#put({
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
  #put(s: Sending, told = false): void {
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
    this.#put(s, true)
    if (this.core.leads && s.state === 'queued') void this.flush()
  }

  forget(clientId: string, told = false): void {
    const s = this.#items.get(clientId)
    if (!s) return
    this.#aborts.get(clientId)?.abort()
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
    this.#put({ ...again, state: 'queued', since: this.core.serverNow, troubles: 0 })
    void this.flush()
  }

  cancel(clientId: string): boolean {
    const s = this.#items.get(clientId)
    if (!s || s.state === 'sent' || s.state === 'sending' || (s.tried && s.state !== 'failed')) return false
    this.forget(clientId)
    return true
  }

  /** An entry of the log: if it is one of ours, that is its acknowledgement. */
  arrived(e: Entry): void {
    if (e.sender !== this.core.myId || !e.clientMsgId) return
    const s = this.#items.get(e.clientMsgId)
    if (s && s.conversation === e.session && s.state !== 'sent') this.#put({ ...s, state: 'sent', at: e.createdAt, id: e.messagerecvId, seq: e.seq })
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
      if (!this.#items.has(s.clientId)) this.#put(s.state === 'sending' || s.state === 'uploading' ? { ...s, state: 'queued' } : s, true)
    }
    this.#items = new Map([...this.#items].sort(([, a], [, b]) => a.n - b.n))
    this.interrupted()
  }

  /** What was under way is to be sent again. */
  interrupted(): void {
    for (const s of this.all) if (s.state === 'sending' && this.core.leads) this.#put({ ...s, state: 'queued' })
  }

  /** Sends what waits. */
  async flush(): Promise<void> {
    if (!this.core.leads) return this.core.share({ t: 'flush' })
    if (this.#flushing) { this.#again = true; return }
    this.#flushing = true
    try {
      do {
        this.#again = false
        await this.core.kept() // stored before it is sent
        if (!this.core.online || !this.all.some(s => s.state !== 'sent' && s.state !== 'failed')) return
        if (!(await this.core.mayFlush())) return this.#later(5000)
        this.#round()
      } while (this.#again)
    } finally {
      this.#flushing = false
    }
  }

  #round(): void {
    const now = this.core.serverNow, { ttlMs = 86_400_000, inFlight = 8 } = this.core.o.outbox ?? {}
    const at = this.core.env.clock.now(), held = new Set<Id>()
    if ((this.#hold.get('') ?? 0) > at) return
    const busy = new Set(this.all.filter(s => s.state === 'sending').map(s => s.conversation))
    let loads = this.all.filter(s => s.state === 'uploading').length
    for (const s of this.all) {
      if (s.state !== 'queued') continue
      if (now - s.since > ttlMs) this.#put({ ...s, state: 'failed', error: { code: 'EXPIRED', message: 'it waited too long' } })
      else if (s.files && s.content.file === undefined && !s.content.files) {
        if (loads < uploads) { loads++; void this.#upload(s) }
      } else if ((this.#hold.get(s.conversation) ?? 0) > at) held.add(s.conversation)
      else if (busy.size < inFlight && !busy.has(s.conversation) && !held.has(s.conversation)) {
        busy.add(s.conversation)
        void this.#post(s)
      }
    }
  }

  async #post(s: Sending): Promise<void> {
    const { conversation: session, clientId: clientMsgId, content, replyTo, mentions, expire } = s
    this.#put({ ...s, state: 'sending', tried: true })
    const fields = { session, clientMsgId, content, ...(replyTo && { replyTo }), ...(mentions && { mentions }), ...(expire && { expire }) }
    try {
      const f = await this.core.ask('msg_send', fields)
      // What a moderator changed is read from the log.
      if (f.deal) {
        const c = this.core.convo(session)
        c.mind(f.seq)
        void c.repair()
        this.core.share({ t: 'mind', id: session, seq: f.seq })
      } else this.core.echo({ ...fields, seq: f.seq, messagerecvId: f.messagerecvId, sender: this.core.myId, createdAt: f.createdAt, ...(this.core.o.device?.kind && { platform: this.core.o.device.kind }) })
    } catch (e) {
      this.#refused(clientMsgId, failure(e))
    }
    void this.flush()
  }

  #refused(clientId: string, e: TroupeError): void {
    const s = this.#items.get(clientId)
    if (!s || s.state === 'sent' || s.state === 'failed') return
    if (e.code === 'CANCELLED') return
    if (this.core.over) return this.#put({ ...s, state: 'queued' }) // the client has ended, the message has not
    const n = (s.troubles ?? 0) + 1
    if (e.retryable && !(e.code === 'INTERNAL' && n > troubles)) {
      const unknown = ['NETWORK', 'TIMEOUT', 'INTERNAL'].includes(e.code)
      this.#put({ ...s, state: 'queued', tried: unknown, troubles: e.code === 'INTERNAL' ? n : s.troubles ?? 0 })
      const wait = e.retryAfterMs ?? Math.min(1000 * n, 20_000)
      // What is sent too fast waits altogether; else the others of its conversation wait behind it.
      if (e.code !== 'NETWORK' && e.code !== 'OFFLINE') this.#hold.set(e.code === 'RATE_LIMITED' ? '' : s.conversation, this.core.env.clock.now() + wait)
      this.#later(wait)
    } else this.#put({ ...s, state: 'failed', tried: false, error: { code: e.code, message: e.message } })
  }

  #later(ms: number): void {
    this.core.env.clock.clearTimeout(this.#retry)
    this.#retry = this.core.env.clock.setTimeout(() => void this.flush(), ms)
  }

  /** Brings the files to the server; what was named then is kept, so that each try says the same. */
  async #upload(s: Sending): Promise<void> {
    const abort = new AbortController()
    this.#aborts.set(s.clientId, abort)
    const now = (): Sending | undefined => this.#items.get(s.clientId)
    this.#put({ ...s, state: 'uploading', progress: 0 })
    try {
      const { uploadAll } = await import('./upload.js')
      const metas = await uploadAll(this.core, s.files!, {
        uploads: s.uploads, signal: abort.signal,
        keep: (i, resume) => { const n = now(); if (n) this.#put({ ...n, uploads: Object.assign([...(n.uploads ?? [])], { [i]: resume }) }) },
        onProgress: progress => { const n = now(); if (n?.state === 'uploading') this.#put({ ...n, progress }) },
      })
      const n = now()
      if (n) this.#put({ ...n, state: 'queued', progress: 1, content: name(n.content, metas) })
    } catch (e) {
      const f = failure(e, 'INTERNAL')
      const n = now()
      if (n) {
        if (this.core.over) this.#put({ ...n, state: 'queued' })
        else if (f.retryable && f.code !== 'INTERNAL') { this.#put({ ...n, state: 'queued', progress: 0 }); this.#later(f.retryAfterMs ?? 2000) }
        else if (f.code !== 'CANCELLED') this.#put({ ...n, state: 'failed', error: { code: f.code, message: f.message } })
      }
    } finally {
      this.#aborts.delete(s.clientId)
    }
    void this.flush()
  }

  stop(): void {
    this.core.env.clock.clearTimeout(this.#retry)
    for (const a of this.#aborts.values()) a.abort()
  }
}
