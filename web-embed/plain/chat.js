// What this user knows: the home list, the sessions and the people in them, and what
// can be done to them. Order and identity are the server's seqs, nothing else.

import { Wire } from './wire.js'
import { Outbox } from './outbox.js'
import { Log, blank } from './log.js'

const PAGE = 50
const TYPING = 5000 // ms that one "is typing" lasts

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
    this.log = new Log(this)
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

  /** faces takes profiles that came with a list, or as they changed: the newer one stands. */
  #faces(users) {
    for (const p of users || []) {
      const had = this.profiles.get(p.userId)
      if ((had?.version || 0) > p.version) continue
      this.profiles.set(p.userId, p)
      if (p.userId === this.me) Object.assign(this.account, { nickname: p.nickname, name: p.name })
    }
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
      if (s.known > Math.min(s.head, s.entries ? s.high : s.head) || s.held.size) this.log.repair(s)
      if (s.read > s.readTold) this.later('read' + s.id, 0, () => this.#tellRead(s))
      this.received(s)
    }
    if (this.open && this.sessions.has(this.open)) this.#look(this.sessions.get(this.open))
    for (const [id, p] of this.profiles) if (!p.nickname && !p.missing) this.profiles.delete(id)
    this.outbox.flush()
    this.on.changed(null)
  }

  async #snapshot(snap) {
    const had = this.sessions.size
    const seen = new Set(snap.sessions.map(h => h.session))
    this.#faces(snap.users)
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
      this.#faces(f.users)
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
    if (s.epoch && h.epoch && s.epoch !== h.epoch) this.log.forget(s)
    Object.assign(s, {
      type: h.sessionType, name: h.name || '', memberCount: h.memberCount || 0, epoch: h.epoch || s.epoch,
      sticky: h.sticky, muted: h.muted, updated: h.updatedAt, last: h.last || null,
      mentioned: !!h.mentioned, unread: s.read > h.readSeq && s.read >= h.headSeq ? 0 : h.unread, floor: h.floorSeq || 1,
      head: Math.max(s.head, h.headSeq), known: Math.max(s.known, h.headSeq),
      readTold: h.readSeq, recvTold: Math.max(s.recvTold, h.recvSeq || 0),
    })
    if (h.members?.length) s.members = h.members
    s.read = Math.max(s.read, h.readSeq)
    if (s.entries && s.high < s.head) this.log.repair(s)
    return s
  }

  #remove(id) {
    this.sessions.delete(id)
    this.outbox.forget(id)
    if (this.open === id) this.on.gone(id)
  }

  #frame(f) {
    const s = f.session && this.sessions.get(f.session)
    switch (f.type) {
      case 'msg_push': if (s) this.log.take(s, f); break
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
        this.later('typing' + s.id + f.userId, TYPING, () => { s.typing.delete(f.userId); this.on.changed(s.id) })
        break
      case 'user_update': this.#faces([f.profile]); this.on.changed(null); return
      case 'heartbeat_reply':
        for (const [id, head] of Object.entries(f.heads || {})) {
          const w = this.sessions.get(id)
          if (w && head > w.known) this.log.mind(w, head)
        }
        return
      default: return
    }
    this.on.changed(f.session)
  }

  #fresh(h) {
    const s = this.#adopt(h)
    if (s.id === this.open) this.#look(s)
    this.received(s)
  }

  // --- looking at a session

  /** look opens a session: its newest entries, and who is in it. */
  look(id) {
    this.open = id
    const s = this.sessions.get(id)
    if (s) this.#look(s)
    return s
  }

  #look(s) {
    if (!s.entries) this.log.load(s).catch(() => {})
    this.people(s)
  }

  /** people reads who is in a session, and how far each of them is. */
  async people(s) {
    try {
      const { info, users } = await this.wire.request('session_get', { session: s.id, limit: 500 })
      this.#faces(users)
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
    this.later('read' + s.id, 150, () => this.#tellRead(s))
    this.on.changed(s.id)
  }

  async #tellRead(s) {
    const seq = s.read
    if (seq <= s.readTold) return
    await this.wire.request('msg_read', { session: s.id, seq }).then(() => { s.readTold = Math.max(s.readTold, seq) }, () => {})
  }

  received(s) {
    if (s.head <= s.recvTold || !s.last || s.last.seq <= s.recvTold) return
    this.later('recv' + s.id, 150, () => {
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
    if (f.seq) this.log.take(s, { session: s.id, seq: f.seq, sender: this.me, target: e.seq, targetSender: e.sender, createdAt: Date.now(), ...entry })
    else if (entry.kind === 'react' && !entry.removed) { // it was there, though not among those who are named
      const x = s.entries?.get(e.seq)?.reactions?.find(r => r.reaction === entry.reaction)
      if (x && !x.users.includes(this.me)) x.users.push(this.me)
    }
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
    if (f.seq) { s.known = Math.max(s.known, f.seq); await this.log.repair(s) }
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

  /** later does f once nothing has asked for the same key for ms. */
  later(key, ms, f) {
    clearTimeout(this.#timers.get(key))
    this.#timers.set(key, setTimeout(() => { this.#timers.delete(key); f() }, ms))
  }

  /** waits says whether later has something to do for key. */
  waits(key) { return this.#timers.has(key) }
}
