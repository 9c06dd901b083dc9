// What was written and is not acknowledged yet. It is kept before it is sent, in
// order, and goes out again after a break with the same clientMsgId: the server
// stores it once.

const KEY = 'troupe.outbox'

export class Outbox {
  #retry = 0

  constructor(chat) {
    this.chat = chat
    try { this.items = JSON.parse(sessionStorage.getItem(KEY)) || [] } catch { this.items = [] }
    this.items = this.items.filter(i => i.user === chat.me && i.state !== 'sent')
    for (const i of this.items) if (i.state === 'sending') i.state = 'queued'
  }

  /** newId makes a UUIDv7: ids of one window sort as they were made. */
  newId() {
    const b = crypto.getRandomValues(new Uint8Array(16)), now = Date.now()
    for (let i = 0; i < 6; i++) b[i] = Math.floor(now / 2 ** (40 - 8 * i))
    b[6] = b[6] & 15 | 0x70
    b[8] = b[8] & 63 | 0x80
    return [...b].map((x, i) => ([4, 6, 8, 10].includes(i) ? '-' : '') + x.toString(16).padStart(2, '0')).join('')
  }

  of(session) { return this.items.filter(i => i.session === session) }
  get waiting() { return this.items.filter(i => i.state === 'queued' || i.state === 'sending').length }

  send(session, content, replyTo) {
    this.items.push({ clientMsgId: this.newId(), user: this.chat.me, session, content, ...(replyTo && { replyTo }), at: Date.now(), state: 'queued' })
    this.#keep()
    this.flush()
  }

  retry(id) {
    const i = this.items.find(i => i.clientMsgId === id)
    if (i) { i.state = 'queued'; delete i.error }
    this.flush()
  }

  drop(id) {
    this.items = this.items.filter(i => i.clientMsgId !== id)
    this.#keep()
  }

  forget(session) {
    this.items = this.items.filter(i => i.session !== session)
    this.#keep()
  }

  /** arrived says that an entry is in the log: if it is one of ours, that is its acknowledgement. */
  arrived(e) {
    if (e.sender === this.chat.me && e.clientMsgId && this.items.some(i => i.clientMsgId === e.clientMsgId)) this.drop(e.clientMsgId)
  }

  /** settle leaves what is acknowledged to the log, which is read anew. */
  settle(session) {
    this.items = this.items.filter(i => i.session !== session || i.state !== 'sent')
    this.#keep()
  }

  interrupted() {
    for (const i of this.items) if (i.state === 'sending') i.state = 'queued'
    clearTimeout(this.#retry)
  }

  /** flush sends what waits: one message per session at a time, so that they keep their order. */
  flush() {
    if (!this.chat.wire?.online || !this.chat.ready) return
    clearTimeout(this.#retry)
    const busy = new Set(this.items.filter(i => i.state === 'sending').map(i => i.session))
    for (const i of this.items) {
      if (i.state !== 'queued' || busy.has(i.session)) continue
      busy.add(i.session)
      i.state = 'sending'
      this.#post(i)
    }
    this.#keep()
  }

  async #post(i) {
    const { session, clientMsgId, content, replyTo } = i
    try {
      const f = await this.chat.wire.request('msg_send', { session, clientMsgId, content, ...(replyTo && { replyTo }) })
      const s = this.chat.sessions.get(session)
      i.state = 'sent' // shown from here until it has its place in the log, before which others' may be missing
      if (!s) this.drop(clientMsgId)
      else this.chat.log.take(s, { session, seq: f.seq, messagerecvId: f.messagerecvId, sender: this.chat.me, clientMsgId, content, createdAt: f.createdAt, ...(replyTo && { replyTo }) })
    } catch (e) {
      if (!this.items.includes(i)) return
      const again = e.retryAfterMs || ['OFFLINE', 'TIMEOUT', 'BUSY', 'RATE_LIMITED', 'GOAWAY'].includes(e.code)
      i.state = again ? 'queued' : 'failed'
      if (!again) i.error = { code: e.code, message: e.message }
      this.#keep()
      this.chat.on.changed(session)
      if (again) {
        clearTimeout(this.#retry)
        this.#retry = setTimeout(() => this.flush(), e.retryAfterMs || 1000)
        return
      }
    }
    this.chat.on.changed(session)
    this.flush()
  }

  #keep() { sessionStorage.setItem(KEY, JSON.stringify(this.items)) }
}
