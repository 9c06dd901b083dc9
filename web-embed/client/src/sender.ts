import type { Id } from './api.js'
import type { Outbox, Sending } from './outbox.js'
import { deed, name } from './content.js'
import { failure, type TroupeError } from './error.js'

const uploads = 2 // at a time
const troubles = 5 // times that INTERNAL is asked again

/** How what waits in the outbox goes out: what is next, what a refusal means, and when it is tried again. */
export class Sender {
  #hold = new Map<Id, number>() // until when nothing of a conversation ("": of any) is sent

  constructor(readonly out: Outbox, readonly core = out.core) {}

  /** Sends what may go now. */
  round(): void {
    const now = this.core.serverNow, { ttlMs = 86_400_000, inFlight = 8 } = this.core.o.outbox ?? {}
    const at = this.core.env.clock.now(), held = new Set<Id>()
    if ((this.#hold.get('') ?? 0) > at) return
    const busy = new Set(this.out.all.filter(s => s.state === 'sending').map(s => s.conversation))
    let loads = this.out.all.filter(s => s.state === 'uploading').length
    for (const s of this.out.all) {
      if (s.state !== 'queued') continue
      if (now - s.since > ttlMs) this.out.put({ ...s, state: 'failed', error: { code: 'EXPIRED', message: 'it waited too long' } })
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
    this.out.put({ ...s, state: 'sending', tried: true })
    const fields = { session, clientMsgId, content, ...(replyTo && { replyTo }), ...(mentions && { mentions }), ...(expire && { expire }) }
    try {
      const f = await this.core.ask('msg_send', fields)
      // What a moderator changed is read from the log.
      if (f.deal) {
        const c = this.core.convo(session)
        c.mind(f.seq)
        void c.repair()
        this.core.share({ t: 'mind', id: session, seq: f.seq })
      } else this.core.echo({ ...fields, seq: f.seq, messagerecvId: f.messagerecvId, sender: this.core.myId, createdAt: f.createdAt, ...(deed(content) && { quiet: true }), ...(this.core.o.device?.kind && { platform: this.core.o.device.kind }) })
    } catch (e) {
      this.#refused(clientMsgId, failure(e))
    }
    void this.out.flush()
  }

  #refused(clientId: string, e: TroupeError): void {
    const s = this.out.item(clientId)
    if (!s || s.state === 'sent' || s.state === 'failed') return
    if (e.code === 'CANCELLED') return
    if (this.core.over) return this.out.put({ ...s, state: 'queued' }) // the client has ended, the message has not
    const n = (s.troubles ?? 0) + 1
    if (e.retryable && !(e.code === 'INTERNAL' && n > troubles)) {
      const unknown = ['NETWORK', 'TIMEOUT', 'INTERNAL'].includes(e.code)
      this.out.put({ ...s, state: 'queued', tried: unknown, troubles: e.code === 'INTERNAL' ? n : s.troubles ?? 0 })
      const wait = e.retryAfterMs ?? Math.min(1000 * n, 20_000)
      // What is sent too fast waits altogether; else the others of its conversation wait behind it.
      if (e.code !== 'NETWORK' && e.code !== 'OFFLINE') this.#hold.set(e.code === 'RATE_LIMITED' ? '' : s.conversation, this.core.env.clock.now() + wait)
      this.out.later(wait)
    } else this.out.put({ ...s, state: 'failed', tried: false, error: { code: e.code, message: e.message } })
  }

  /** Brings the files to the server; what was named then is kept, so that each try says the same. */
  async #upload(s: Sending): Promise<void> {
    const abort = new AbortController()
    this.out.aborts.set(s.clientId, abort)
    const now = (): Sending | undefined => this.out.item(s.clientId)
    this.out.put({ ...s, state: 'uploading', progress: 0 })
    try {
      const { uploadAll } = await import('./upload.js')
      const metas = await uploadAll(this.core, s.files!, {
        uploads: s.uploads, signal: abort.signal,
        keep: (i, resume) => { const n = now(); if (n) this.out.put({ ...n, uploads: Object.assign([...(n.uploads ?? [])], { [i]: resume }) }) },
        onProgress: progress => { const n = now(); if (n?.state === 'uploading') this.out.put({ ...n, progress }) },
      })
      const n = now()
      if (n) this.out.put({ ...n, state: 'queued', progress: 1, content: name(n.content, metas) })
    } catch (e) {
      const f = failure(e, 'INTERNAL')
      const n = now()
      if (n) {
        if (this.core.over) this.out.put({ ...n, state: 'queued' })
        else if (f.retryable && f.code !== 'INTERNAL') { this.out.put({ ...n, state: 'queued', progress: 0 }); this.out.later(f.retryAfterMs ?? 2000) }
        else if (f.code !== 'CANCELLED') this.out.put({ ...n, state: 'failed', error: { code: f.code, message: f.message } })
      }
    } finally {
      this.out.aborts.delete(s.clientId)
    }
    void this.out.flush()
  }
}
