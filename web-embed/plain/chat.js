// What this user knows: the home list, the logs of the sessions that were opened,
// the people in them. Order and identity are the server's seqs, nothing else.

import { Wire } from './wire.js'
import { Outbox } from './outbox.js'

const PAGE = 50
const GAP = 250 // ms a hole in the seqs may close by itself before it is read
const TYPING = 5000 // ms that one "is typing" lasts

const blank = id => ({
  id, type: 'group', name: '', members: [], memberCount: 0, epoch: '', logEpoch: '', updated: 0, last: null,
  sticky: false, muted: false, mentioned: false, unread: 0, floor: 1,
  head: 0, // newest seq that the row counts
  known: 0, // newest seq that is said to exist
  read: 0, readTold: 0, recvTold: 0,
  entries: null, // Map of seq to entry from low to high without a hole; null: not loaded
  low: 0, high: 0, more: false, earlierGone: false,
  held: new Map(), // entries behind a hole
  people: null, // Map of user to member, once asked for
  typing: new Map(), draft: '', line: null, recalled: new Map(),
})

export class Chat {
  sessions = new Map()
  profiles = new Map()
  open = null
  next = '' // cursor of the home list's next page
  elsewhere = 0 // unread in sessions that are not loaded yet
  ready = false
  #timers = new Map()

  /** changed(id) is called when something about a session (or null: anything) is new. */
  constructor(account, on) {
    this.account = account
    this.me = account.userId
    this.on = on
    this.outbox = new Outbox(this)
    this.wire = new Wire(account, {
      state: () => { if (!this.wire?.online) this.outbox.interrupted(); on.state() },
      welcome: f => this.#welcome(f),
      frame: f => this.#frame(f),
      ended: why => on.ended(why),
    })
    this.profiles.set(this.me, { userId: this.me, name: account.name, nickname: account.nickname || account.name })
    this.wire.dial()
  }

  stop() {
    this.wire.stop()
    for (const t of this.#timers.values()) clearTimeout(t)
  }

  get total() {
    let n = this.elsewhere
    for (const s of this.sessions.values()) if (!s.muted) n += s.unread
    return Math.max(0, n)
  }

  /** home is the list as it is shown: sticky first, then by activity. */
  home() {
    return [...this.sessions.values()].sort((a, b) => b.sticky - a.sticky || b.updated - a.updated || (a.id < b.id ? -1 : 1))
  }

  // --- people

  /** profile gives what is known of a user, and asks for it when that is nothing. */
  profile(id) {
    const p = this.profiles.get(id)
    if (p) return p
    const asked = { userId: id, nickname: '' }
    this.profiles.set(id, asked)
    this.account.call('GET', '/users/' + encodeURIComponent(id)).then(
      u => { Object.assign(asked, u); if (id === this.me) Object.assign(this.account, { nickname: u.nickname, name: u.name }) },
      e => { if (e.code === 'NOT_FOUND') asked.missing = true; else this.profiles.delete(id) },
    ).finally(() => this.on.changed(null))
    return asked
  }

  async find(name) {
    const { items } = await this.account.call('GET', '/users?name=' + encodeURIComponent(name))
    if (items[0]) this.profiles.set(items[0].userId, items[0])
    return items[0] || null
  }

  other(s) { return s.members.find(u => u !== this.me) ?? this.me }

  // --- what comes

  #welcome(f) {
    if (f.snapshot) this.#snapshot(f.snapshot)
    this.ready = true
    for (const s of this.sessions.values()) {
      if (s.known > Math.min(s.head, s.entries ? s.high : s.head) || s.held.size) this.#repair(s)
      if (s.read > s.readTold) this.#later('read' + s.id, 0, () => this.#tellRead(s))
      this.#received(s)
    }
    if (this.open && this.sessions.has(this.open)) this.#look(this.sessions.get(this.open))
    for (const [id, p] of this.profiles) if (!p.nickname && !p.missing) this.profiles.delete(id)
    this.outbox.flush()
    this.on.changed(null)
  }

  async #snapshot(snap) {
    const had = this.sessions.size
    const seen = new Set(snap.sessions.map(h => h.session))
    for (const h of snap.sessions) this.#adopt(h)
    this.next = snap.next || ''
    this.#countElsewhere(snap.unreadTotal)
    const gone = () => { for (const id of [...this.sessions.keys()]) if (!seen.has(id) && !this.next) this.#remove(id) }
    gone()
    while (this.next && seen.size < had) { // rows that were loaded before are loaded again
      const page = await this.moreSessions().catch(() => null)
      if (!page) return
      page.forEach(h => seen.add(h.session))
    }
    gone()
    this.on.changed(null)
  }

  async moreSessions() {
    if (!this.next || this.paging) return []
    this.paging = true
    try {
      const f = await this.wire.request('session_list', { cursor: this.next, limit: PAGE })
      for (const h of f.sessions || []) this.#adopt(h)
      this.next = f.next || ''
      this.#countElsewhere(f.unreadTotal || 0)
      this.on.changed(null)
      return f.sessions || []
    } finally { this.paging = false }
  }

  #countElsewhere(total) {
    let here = 0
    for (const s of this.sessions.values()) here += s.unread
    this.elsewhere = this.next ? Math.max(0, total - here) : 0
  }

  #adopt(h) {
    let s = this.sessions.get(h.session)
    if (!s) this.sessions.set(h.session, s = blank(h.session))
    if (s.epoch && h.epoch && s.epoch !== h.epoch) this.#forget(s)
    Object.assign(s, {
      type: h.sessionType, name: h.name || '', memberCount: h.memberCount || 0, epoch: h.epoch || s.epoch,
      sticky: h.sticky, muted: h.muted, updated: h.updatedAt, last: h.last || null,
      mentioned: !!h.mentioned, unread: s.read > h.readSeq && s.read >= h.headSeq ? 0 : h.unread, floor: h.floorSeq || 1,
      head: Math.max(s.head, h.headSeq), known: Math.max(s.known, h.headSeq),
      readTold: h.readSeq, recvTold: Math.max(s.recvTold, h.recvSeq || 0),
    })
    if (h.members?.length) s.members = h.members
    s.read = Math.max(s.read, h.readSeq)
    if (s.entries && s.high < s.head) this.#repair(s)
    return s
  }

  #remove(id) {
    this.sessions.delete(id)
    this.outbox.forget(id)
    if (this.open === id) this.on.gone(id)
  }

  // #forget drops a log that may have gone back.
  #forget(s) {
    Object.assign(s, { logEpoch: '', entries: null, low: 0, high: 0, head: 0, known: 0, read: 0, readTold: 0, recvTold: 0, line: null })
    s.held.clear()
    if (this.open === s.id) this.#later('load' + s.id, 0, () => this.load(s))
  }

  #frame(f) {
    const s = f.session && this.sessions.get(f.session)
    switch (f.type) {
      case 'msg_push': if (s) this.take(s, f); break
      case 'session_update': f.gone ? this.#remove(f.session) : f.head && this.#fresh(f.head); break
      case 'unread':
        if (!s) return
        s.readTold = Math.max(s.readTold, f.readSeq)
        if (f.readSeq >= s.read) { s.read = f.readSeq; s.unread = f.unread }
        if (!s.unread) s.mentioned = false
        break
      case 'receipt': {
        const m = s?.people?.get(f.userId)
        if (!m) return
        m.readSeq = Math.max(m.readSeq || 0, f.readSeq || 0)
        m.recvSeq = Math.max(m.recvSeq || 0, f.recvSeq || 0, f.readSeq || 0)
        break
      }
      case 'msg_editing_reply':
        if (!s || f.userId === this.me) return
        s.typing.set(f.userId, Date.now() + TYPING)
        this.#later('typing' + s.id + f.userId, TYPING, () => { s.typing.delete(f.userId); this.on.changed(s.id) })
        break
      case 'heartbeat_reply':
        for (const [id, head] of Object.entries(f.heads || {})) {
          const w = this.sessions.get(id)
          if (w && head > w.known) this.#mind(w, head)
        }
        return
      default: return
    }
    this.on.changed(f.session)
  }

  #fresh(h) {
    const s = this.#adopt(h)
    if (s.id === this.open) this.#look(s)
    this.#received(s)
  }

  /** take puts an entry of the log where it belongs, or holds it until the hole before it is closed. */
  take(s, e) {
    s.known = Math.max(s.known, e.seq)
    this.outbox.arrived(e)
    if (e.seq > s.head + 1 || s.entries && e.seq > s.high + 1) {
      s.held.set(e.seq, e)
      this.#mind(s, e.seq)
      return
    }
    this.#place(s, e)
    for (let n; (n = s.held.get(Math.min(s.head, s.entries ? s.high : s.head) + 1));) {
      s.held.delete(n.seq)
      this.#place(s, n)
    }
  }

  #place(s, e) {
    if (e.seq === s.head + 1) this.#count(s, e)
    if (s.entries && e.seq === s.high + 1) {
      s.entries.set(e.seq, e)
      s.high = e.seq
      this.#effect(s, e)
      this.on.entry?.(s, e)
    }
    s.held.delete(e.seq)
  }

  // #mind looks after a moment whether everything up to seq has come.
  #mind(s, seq) {
    s.known = Math.max(s.known, seq)
    if (!this.#timers.has('gap' + s.id)) {
      this.#later('gap' + s.id, GAP, () => { if (Math.min(s.head, s.entries ? s.high : s.head) < s.known) this.#repair(s) })
    }
  }

  // #count moves the row on by one entry, as the server does.
  #count(s, e) {
    s.head = e.seq
    const kind = e.kind || 'message'
    if (kind === 'message') {
      s.last = e
      s.updated = e.createdAt
      s.typing.delete(e.sender)
      if (e.sender !== this.me && e.seq > s.read) {
        s.unread++
        s.mentioned ||= !!e.mentions?.some(u => u === this.me || u === '*')
      }
      this.#received(s)
    } else if (kind === 'recall' || kind === 'expire') {
      if (e.targetSender !== this.me && e.target > s.read && e.target >= s.floor) s.unread = Math.max(0, s.unread - 1)
      if (s.last?.seq === e.target) s.last = { ...s.last, content: undefined, recalled: kind === 'recall', expired: kind === 'expire' }
    } else if (kind === 'edit') {
      if (s.last?.seq === e.target && e.content) s.last = { ...s.last, content: e.content, editedAt: e.createdAt }
    } else if (kind === 'join' || kind === 'leave' || kind === 'change') {
      if (e.name) s.name = e.name
      s.memberCount += (kind === 'join') * e.members.length - (kind === 'leave') * e.members.length
      if (s.people) this.#later('people' + s.id, 100, () => this.people(s))
    }
  }

  // #effect does to an older entry what a newer one says of it.
  #effect(s, e) {
    const old = e.target && s.entries.get(e.target)
    if (!old || old.recalled) return
    const now = { ...old }
    switch (e.kind) {
      case 'recall': case 'expire':
        if (e.kind === 'recall' && old.sender === this.me && e.sender === this.me && old.content?.type === 'text') s.recalled.set(old.seq, old.content.text)
        now.recalled = e.kind === 'recall'
        now.expired = e.kind === 'expire'
        now.recalledBy = e.sender
        delete now.content; delete now.reactions; delete now.replyTo
        break
      case 'edit':
        if (!e.content) return // of a message that is gone by now
        now.content = e.content
        now.editedAt = e.createdAt
        break
      case 'react': {
        const r = (old.reactions || []).map(x => ({ ...x, users: x.users.filter(u => x.reaction !== e.reaction || u !== e.sender) }))
        if (!e.removed) {
          const x = r.find(x => x.reaction === e.reaction)
          x ? x.users.push(e.sender) : r.push({ reaction: e.reaction, users: [e.sender] })
        }
        now.reactions = r.filter(x => x.users.length)
        break
      }
      default: return
    }
    s.entries.set(old.seq, now)
  }

  // --- reading the log

  /** look opens a session: its newest entries, and who is in it. */
  look(id) {
    this.open = id
    const s = this.sessions.get(id)
    if (s) this.#look(s)
    return s
  }

  #look(s) {
    if (!s.entries) this.load(s).catch(() => {})
    this.people(s)
  }

  async load(s) {
    if (s.loading || !this.wire.online) return
    s.loading = true
    try {
      const limit = Math.min(200, Math.max(PAGE, s.head - s.read + 20))
      const f = await this.wire.request('sync', { session: s.id, limit })
      const list = f.messages || []
      s.entries = new Map(list.map(e => [e.seq, e]))
      s.high = list.at(-1)?.seq ?? f.headSeq
      s.low = list[0]?.seq ?? f.headSeq + 1
      s.more = f.hasMore
      s.logEpoch = f.epoch
      list.forEach(e => this.outbox.arrived(e))
      for (const e of [...s.held.values()].sort((a, b) => a.seq - b.seq)) this.take(s, e)
      if (f.headSeq > Math.min(s.head, s.high)) this.#mind(s, f.headSeq)
    } finally { s.loading = false }
    this.on.changed(s.id)
  }

  /** older reads one page of history more. */
  async older(s) {
    if (!s.entries || !s.more || s.loading || !this.wire.online) return
    s.loading = true
    try {
      const f = await this.wire.request('sync', { session: s.id, beforeSeq: s.low, limit: PAGE })
      if (!s.entries) return
      const list = f.messages || []
      const from = s.low
      for (const e of list) s.entries.set(e.seq, e)
      s.low = list[0]?.seq ?? s.low
      s.more = f.hasMore
      s.entries = new Map([...s.entries].sort((a, b) => a[0] - b[0]))
      for (const e of [...s.entries.values()]) if (e.target && e.target < from && e.seq >= from) this.#effect(s, e) // what came while the page was on its way
    } catch { /* scrolled to again, it is asked for again */ } finally { s.loading = false }
    this.on.changed(s.id)
  }

  async #repair(s) {
    if (s.repairing || !this.wire.online) return
    s.repairing = true
    try {
      for (let more = true; more;) {
        const after = Math.min(s.head, s.entries ? s.high : s.head)
        const f = await this.wire.request('sync', { session: s.id, afterSeq: after, limit: 200, epoch: s.logEpoch || undefined })
        if (f.gone && s.entries && f.gone.upTo > s.high) { s.entries.clear(); s.high = f.gone.upTo; s.low = s.high + 1 }
        for (const e of f.messages || []) this.take(s, e)
        more = f.hasMore && f.messages?.length > 0
      }
    } catch (e) {
      if (e.code === 'EPOCH_CHANGED' || e.code === 'OUT_OF_RANGE') this.#forget(s)
    } finally { s.repairing = false }
    const whole = Math.min(s.head, s.entries ? s.high : s.head)
    for (const seq of [...s.held.keys()]) if (seq <= whole) s.held.delete(seq)
    this.on.changed(s.id)
  }

  /** people reads who is in a session, and how far each of them is. */
  async people(s) {
    try {
      const { info } = await this.wire.request('session_get', { session: s.id, limit: 500 })
      const was = s.people
      s.people = new Map((info.members || []).map(m => {
        const old = was?.get(m.user)
        return [m.user, { ...m, readSeq: Math.max(m.readSeq || 0, old?.readSeq || 0), recvSeq: Math.max(m.recvSeq || 0, m.readSeq || 0, old?.recvSeq || 0) }]
      }))
      s.memberCount = info.memberCount ?? s.people.size
      s.name = info.name || ''
      s.owner = info.owner
      this.on.changed(s.id)
    } catch { /* asked again when the connection is back */ }
  }

  // --- marks

  /** seen says that the user has seen everything up to seq. */
  seen(s, seq) {
    if (seq <= s.read) return
    s.read = seq
    s.unread = 0
    if (seq < s.head) {
      for (let q = Math.max(seq + 1, s.low); q <= s.head; q++) {
        const e = s.entries?.get(q)
        if (e && (e.kind || 'message') === 'message' && e.sender !== this.me && !e.recalled && !e.expired) s.unread++
      }
    } else s.mentioned = false
    this.#later('read' + s.id, 150, () => this.#tellRead(s))
    this.on.changed(s.id)
  }

  async #tellRead(s) {
    const seq = s.read
    if (seq <= s.readTold) return
    await this.wire.request('msg_read', { session: s.id, seq }).then(() => { s.readTold = Math.max(s.readTold, seq) }, () => {})
  }

  #received(s) {
    if (s.head <= s.recvTold || !s.last || s.last.seq <= s.recvTold) return
    this.#later('recv' + s.id, 150, () => {
      const seq = s.head
      if (seq <= s.recvTold) return
      this.wire.request('msg_recv', { session: s.id, seq }).then(() => { s.recvTold = Math.max(s.recvTold, seq) }, () => {})
    })
  }

  typing(s) {
    if (Date.now() - (s.typed || 0) < 2500) return
    s.typed = Date.now()
    this.wire.request('msg_editing', { session: s.id }).catch(() => {})
  }

  // --- what is done to messages and sessions

  async #change(type, s, e, fields, entry) {
    const f = await this.wire.request(type, { session: s.id, messagerecvId: e.messagerecvId, ...fields })
    if (f.seq) this.take(s, { session: s.id, seq: f.seq, sender: this.me, target: e.seq, targetSender: e.sender, createdAt: Date.now(), ...entry })
    this.on.changed(s.id)
  }

  recall(s, e) { return this.#change('msg_cancel', s, e, {}, { kind: 'recall' }) }
  edit(s, e, text) {
    const content = { ...e.content, text }
    return this.#change('msg_edit', s, e, { content }, { kind: 'edit', content })
  }
  react(s, e, reaction, on) { return this.#change('msg_react', s, e, { reaction, ...(!on && { removed: true }) }, { kind: 'react', reaction, removed: !on }) }

  async create(sessionType, members, name) {
    const f = await this.wire.request('session_create', { sessionType, members, clientMsgId: this.outbox.newId(), ...(name && { name }) })
    const id = f.result[0], info = f.entities.session[id]
    if (!this.sessions.has(id)) {
      this.#adopt({
        session: id, sessionType: info.sessionType, name: info.name, memberCount: info.memberCount, epoch: info.epoch, headSeq: info.headSeq || 0,
        readSeq: 0, unread: 0, updatedAt: info.updatedAt || info.createdAt, sticky: false, muted: false,
        members: info.sessionType === 'p2p' ? (info.members || []).map(m => m.user) : [],
      })
    }
    this.on.changed(id)
    return id
  }

  // Whoever changes members or the name gets an answer instead of the entry: it is read.
  async #ask(type, s, fields) {
    const f = await this.wire.request(type, { session: s.id, ...fields })
    if (f.seq) { s.known = Math.max(s.known, f.seq); await this.#repair(s) }
    return f
  }

  async add(s, members) { await this.#ask('session_add_user', s, { members }); await this.people(s) }
  async removeMember(s, user) { await this.#ask('session_remove_user', s, { members: [user] }); await this.people(s) }
  async leave(s) { await this.wire.request('session_exit', { session: s.id }); this.#remove(s.id); this.on.changed(null) }
  async set(s, fields) {
    await this.#ask('session_set', s, fields)
    if ('sticky' in fields) s.sticky = fields.sticky
    if ('muted' in fields) s.muted = fields.muted
    if (fields.name) s.name = fields.name
    this.on.changed(s.id)
  }

  #later(key, ms, f) {
    clearTimeout(this.#timers.get(key))
    this.#timers.set(key, setTimeout(() => { this.#timers.delete(key); f() }, ms))
  }
}
