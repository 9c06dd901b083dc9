// The logs of sessions as this page has them: entries from low to high without a hole,
// what came behind a hole, and what newer entries do to older ones.

const PAGE = 50
const GAP = 250 // ms a hole in the seqs may close by itself before it is read

/** blank is a session that nothing is known of yet. */
export const blank = id => ({
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

export class Log {
  constructor(chat) { this.chat = chat }

  /** take puts an entry of the log where it belongs, or holds it until the hole before it is closed. */
  take(s, e) {
    s.known = Math.max(s.known, e.seq)
    if (e.seq > s.head + 1 || s.entries && e.seq > s.high + 1) {
      s.held.set(e.seq, e)
      this.mind(s, e.seq)
      return
    }
    this.#place(s, e)
    for (let n; (n = s.held.get(Math.min(s.head, s.entries ? s.high : s.head) + 1));) {
      s.held.delete(n.seq)
      this.#place(s, n)
    }
  }

  #place(s, e) {
    this.chat.outbox.arrived(e)
    if (e.seq === s.head + 1) this.#count(s, e)
    if (s.entries && e.seq === s.high + 1) {
      s.entries.set(e.seq, e)
      s.high = e.seq
      this.#effect(s, e)
      this.chat.on.entry?.(s, e)
    }
    s.held.delete(e.seq)
  }

  // mind looks after a moment whether everything up to seq has come.
  mind(s, seq) {
    s.known = Math.max(s.known, seq)
    if (!this.chat.waits('gap' + s.id)) {
      this.chat.later('gap' + s.id, GAP, () => { if (Math.min(s.head, s.entries ? s.high : s.head) < s.known) this.repair(s) })
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
      if (e.sender !== this.chat.me && e.seq > s.read) {
        s.unread++
        s.mentioned ||= !!e.mentions?.some(u => u === this.chat.me || u === '*')
      }
      this.chat.received(s)
    } else if (kind === 'recall' || kind === 'expire') {
      if (e.targetSender !== this.chat.me && e.target > s.read && e.target >= s.floor) s.unread = Math.max(0, s.unread - 1)
      if (s.last?.seq === e.target) s.last = { ...s.last, content: undefined, recalled: kind === 'recall', expired: kind === 'expire' }
    } else if (kind === 'edit') {
      if (s.last?.seq === e.target && e.content) s.last = { ...s.last, content: e.content, editedAt: e.createdAt }
    } else if (kind === 'join' || kind === 'leave' || kind === 'change') {
      if (e.name) s.name = e.name
      s.memberCount += (kind === 'join') * e.members.length - (kind === 'leave') * e.members.length
      if (s.people) this.chat.later('people' + s.id, 100, () => this.chat.people(s))
    }
  }

  // #effect does to an older entry what a newer one says of it.
  #effect(s, e) {
    const old = e.target && s.entries.get(e.target)
    if (!old || old.recalled) return
    const now = { ...old }
    switch (e.kind) {
      case 'recall': case 'expire':
        if (e.kind === 'recall' && old.sender === this.chat.me && e.sender === this.chat.me && old.content?.type === 'text') s.recalled.set(old.seq, old.content.text)
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
        if (e.seq <= (old.reactedSeq || 0)) return // counted by the server
        const r = (old.reactions || []).map(x => ({ ...x, count: x.count || x.users.length }))
        let x = r.find(x => x.reaction === e.reaction)
        if (!x) r.push(x = { reaction: e.reaction, users: [], count: 0 })
        x.users = x.users.filter(u => u !== e.sender) // only some of them, where they are many
        x.count += e.removed ? -1 : 1
        if (!e.removed) x.users.push(e.sender)
        now.reactions = r.filter(x => x.count > 0)
        now.reactedSeq = e.seq
        break
      }
      default: return
    }
    s.entries.set(old.seq, now)
  }

  async load(s) {
    if (s.loading || !this.chat.wire.online) return
    s.loading = true
    try {
      const limit = Math.min(200, Math.max(PAGE, s.head - s.read + 20))
      const f = await this.chat.wire.request('sync', { session: s.id, limit })
      const list = f.messages || []
      s.entries = new Map(list.map(e => [e.seq, e]))
      s.high = list.at(-1)?.seq ?? f.headSeq
      s.low = list[0]?.seq ?? f.headSeq + 1
      s.more = f.hasMore
      s.logEpoch = f.epoch
      list.forEach(e => this.chat.outbox.arrived(e))
      for (const e of [...s.held.values()].sort((a, b) => a.seq - b.seq)) this.take(s, e)
      if (f.headSeq > Math.min(s.head, s.high)) this.mind(s, f.headSeq)
    } finally { s.loading = false }
    this.chat.on.changed(s.id)
  }

  /** older reads one page of history more. */
  async older(s) {
    if (!s.entries || !s.more || s.loading || !this.chat.wire.online) return
    s.loading = true
    try {
      const f = await this.chat.wire.request('sync', { session: s.id, beforeSeq: s.low, limit: PAGE })
      if (!s.entries) return
      const list = f.messages || []
      const from = s.low
      for (const e of list) s.entries.set(e.seq, e)
      s.low = list[0]?.seq ?? s.low
      s.more = f.hasMore
      s.entries = new Map([...s.entries].sort((a, b) => a[0] - b[0]))
      for (const e of [...s.entries.values()]) if (e.target && e.target < from && e.seq >= from) this.#effect(s, e) // what came while the page was on its way
    } catch { /* scrolled to again, it is asked for again */ } finally { s.loading = false }
    this.chat.on.changed(s.id)
  }

  async repair(s) {
    if (s.repairing || !this.chat.wire.online) return
    s.repairing = true
    try {
      for (let more = true; more;) {
        const after = Math.min(s.head, s.entries ? s.high : s.head)
        const f = await this.chat.wire.request('sync', { session: s.id, afterSeq: after, limit: 200, epoch: s.logEpoch || undefined })
        if (f.gone && s.entries && f.gone.upTo > s.high) { s.entries.clear(); s.high = f.gone.upTo; s.low = s.high + 1 }
        for (const e of f.messages || []) this.take(s, e)
        more = f.hasMore && f.messages?.length > 0
      }
    } catch (e) {
      if (e.code === 'EPOCH_CHANGED' || e.code === 'OUT_OF_RANGE') this.forget(s)
    } finally { s.repairing = false }
    const whole = Math.min(s.head, s.entries ? s.high : s.head)
    for (const [seq, e] of [...s.held]) if (seq <= whole) { s.held.delete(seq); this.chat.outbox.arrived(e) }
    this.chat.on.changed(s.id)
  }

  // forget drops a log that may have gone back.
  forget(s) {
    Object.assign(s, { logEpoch: '', entries: null, low: 0, high: 0, head: 0, known: 0, read: 0, readTold: 0, recvTold: 0, line: null })
    s.held.clear()
    this.chat.outbox.settle(s.id)
    if (this.chat.open === s.id) this.chat.later('load' + s.id, 0, () => this.load(s))
  }
}
