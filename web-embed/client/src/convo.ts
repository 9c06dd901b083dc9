import type {
  BotActions, Command, Conversation, ConversationInfo, ConversationView, Deal, Draft, GroupChange, GroupSettings, Id, Item, Links, Member, Members, Message, Outgoing, Reaction, Readers, Review, SendOptions, Ref, Seq, Status, StreamState, Timeline,
} from './api.js'
import type { Entry, Member as WireMember, SessionHead, SessionInfo } from './wire-types.js'
import type { Core } from './core.js'
import type { Sending } from './outbox.js'
import { Cell } from './live.js'
import { Segment, type Was } from './segment.js'
import { deed, isBot, kind, parts, prepare, tidy, troupe } from './content.js'
import type { Drafts } from './drafts.js'
import { TroupeError, failure } from './error.js'
import { a } from './seldom.js'
import { seqKey } from './store.js'
import { Line } from './timeline.js'
import { Group } from './group.js'

const gap = 250 // ms a hole in the seqs may close by itself before it is fetched
const far = 400 // entries behind which a log is not filled, but read anew
const typingFor = 5000 // ms that one "is typing" lasts
export const forever = 2 ** 53 - 1

/** What is stored of a conversation. */
export interface Row {
  h: SessionHead | null
  head: number
  known: number
  read: number
  readTold: number
  recvTold: number
  draft: string
  epoch: string
  seg?: { low: number; high: number; more: boolean; gone: boolean }
}

/** One conversation: its row, its log, and what can be done in it. */
export class Convo implements Conversation {
  h: SessionHead | null = null
  head = 0 // newest seq that the row counts
  known = 0 // newest seq that is said to exist
  read = 0
  #readTold = 0
  #counted = 0 // up to here the server has counted what is unread
  #recvTold = 0
  #epoch = '' // of the log
  gone = false
  seg: Segment | null = null
  /** Parts of the log that timelines look at elsewhere. */
  readonly away = new Set<Segment>()
  readonly lines = new Set<Line>()
  /** What is in no log, once there was any of it. */
  drafts: Drafts | null = null
  #drafting: Promise<Drafts> | null = null
  #held = new Map<number, Entry>()
  #typing = new Map<Id, number>()
  #typed = 0
  #stored: Row['seg']
  #loading: Promise<void> | null = null
  #repairing = false
  #commands: { until: number; locale: string | undefined; list: Promise<readonly Command[]> } | null = null
  #made = new WeakMap<Entry, { m: Message; sig: string; ref: Message | null }>()
  /** How far the others are. */
  readonly marks = new Map<Id, { read: number; recv: number }>()
  readonly people: Group
  readonly view: Cell<ConversationView | null>
  readonly draft: Cell<string>

  constructor(readonly core: Core, readonly id: Id) {
    this.view = new Cell<ConversationView | null>(core.bell, undefined, () => this.#view())
    this.draft = new Cell(core.bell, '')
    this.people = new Group(this)
  }

  get me(): Id { return this.core.myId }
  get info(): Cell<ConversationInfo | null> { return this.people.info }
  get members(): Members { return this.people }
  get links(): Links { return this.people.links }

  // --- the row

  /** Says that something is new. */
  touch(): void {
    this.view.touch()
    this.core.listChanged()
    for (const l of this.lines) l.touch()
  }

  save(): void { this.core.keep('conversations', this.id, () => this.row()) }

  row(): Row {
    const s = this.seg
    return {
      h: this.h, head: this.head, known: this.known, read: this.read, readTold: this.#readTold, recvTold: this.#recvTold, draft: this.draft.value, epoch: this.#epoch,
      ...(s ? { seg: { low: s.low, high: s.high, more: s.more, gone: s.gone } } : this.#stored && { seg: this.#stored }),
    }
  }

  /** Takes what was stored. */
  restore(r: Row): void {
    if (!this.draft.value) this.draft.set(r.draft)
    if (this.known_) { // the server was quicker
      if (!this.seg && r.epoch === this.#epoch) this.#stored = r.seg
      return
    }
    this.h = r.h
    this.head = r.head
    this.known = r.known
    this.read = r.read
    this.#readTold = r.readTold
    this.#recvTold = r.recvTold
    this.#epoch = r.epoch
    this.#stored = r.seg
  }

  /** Takes the row as the server has it. */
  adopt(h: SessionHead): void {
    const had = this.known_ ? this.head : 0
    if (this.#epoch && h.epoch && this.#epoch !== h.epoch) this.forget()
    if (this.h && !this.gone && h.headSeq < this.head) { // it was read before the newest came
      const { last, unread, mentioned, updatedAt, headSeq } = this.h
      h = { ...h, unread, updatedAt, headSeq, ...(last && { last }), ...(mentioned && { mentioned }) }
    }
    const ahead = this.read > h.readSeq && this.read >= h.headSeq // read here, and not told yet
    this.h = ahead ? { ...h, unread: 0, mentioned: false } : h
    if (this.h.last && this.seg?.entries.get(this.h.last.seq)?.recalled) this.h = { ...this.h, last: { ...this.h.last, content: undefined as never, recalled: true } }
    if (h.epoch) this.#epoch = h.epoch
    this.head = Math.max(this.head, h.headSeq)
    this.known = Math.max(this.known, this.head)
    this.#readTold = h.readSeq
    this.read = Math.max(this.read, h.readSeq)
    this.#recvTold = Math.max(this.#recvTold, h.recvSeq ?? 0)
    this.gone = false
    if (this.seg && this.seg.high < this.head) {
      if (this.lines.size) void this.repair()
      else if (this.head - this.seg.high > far) this.#dropSegment()
    }
    if (had && this.head > had) this.#received(200 + 40 * (this.core.told++ % 50), this.head) // came while one was away; not all at once
    this.save()
    this.touch()
  }

  /** Drops a log that may have gone back. */
  forget(): void {
    this.head = this.known = this.read = this.#readTold = this.#recvTold = this.#counted = 0
    this.#epoch = ''
    this.#held.clear()
    this.#dropSegment()
    for (const l of this.lines) l.reset()
  }

  #dropSegment(): void {
    this.seg = null
    this.#stored = undefined
    this.core.keepDropRange('entries', seqKey(this.id, 0), seqKey(this.id, forever))
    for (const l of this.lines) l.reset()
  }

  /** One is out of it. */
  leaveBehind(): void {
    this.gone = true
    this.#dropSegment()
    this.core.keepDrop('conversations', this.id)
    this.touch()
  }

  get known_(): boolean { return !!this.h && !this.gone }

  #view(): ConversationView | null {
    const h = this.h
    if (!h) return null
    const peer = this.peer ? this.core.people.user(this.peer) : undefined
    const waiting = this.core.out.of(this.id).filter(s => !s.hidden && s.state !== 'sent'), next = waiting.at(-1)
    const last = h.last && h.last.content?.type !== undefined && this.seg?.entries.get(h.last.seq) || h.last
    const silenced = h.silencedUntil && h.silencedUntil > this.core.serverNow ? h.silencedUntil : 0
    const rules = h.role === 'owner' || h.role === 'admin'
    const whyNot = this.gone ? 'left' : h.sessionType === 'system' ? 'system' : silenced ? 'silenced' : !rules && h.readOnly ? 'read-only' : !rules && h.silenceAll ? 'silenced-all' : undefined
    return {
      id: this.id, kind: h.sessionType, title: h.name || peer?.name || '', last: last ? this.message_(last) : null, waiting: next ? this.waiting(next) : null,
      pending: waiting.filter(s => s.state !== 'failed').length, failed: waiting.filter(s => s.state === 'failed').length,
      at: Math.max(h.updatedAt, 0), unread: h.unread, mentioned: !!h.mentioned && h.unread > 0, readSeq: this.read, headSeq: this.head,
      pinned: h.sticky, muted: h.muted, draft: this.draft.value, typing: this.typists, memberCount: h.memberCount ?? (h.members?.length || 0), role: h.role ?? 'member',
      canWrite: !whyNot, silenceAll: !!h.silenceAll, readOnly: !!h.readOnly, gone: this.gone,
      ...(h.avatar || peer?.avatar ? { avatar: h.avatar ? this.core.link(h.avatar) : peer!.avatar! } : {}), ...(peer && { peer }), ...(whyNot && { whyNot }),
      ...(silenced && { silencedUntil: silenced >= forever ? Infinity : silenced }), ...(h.businessType && { businessType: h.businessType }),
    }
  }

  get peer(): Id | undefined {
    const m = this.h?.sessionType === 'p2p' ? this.h.members : undefined
    return m && (m.find(u => u !== this.me) ?? this.me)
  }

  get typists(): Id[] {
    const now = this.core.env.clock.now()
    return [...this.#typing].filter(([u, until]) => until > now && !this.drafts?.by(u)).map(([u]) => u)
  }

  // --- the log

  /** Takes an entry of the log where it belongs, or holds it until the hole before it is closed. */
  take(e: Entry): void {
    if (this.gone) return
    this.known = Math.max(this.known, e.seq)
    this.core.out.arrived(e)
    let counted = this.#count(e)
    let placed = this.#place(e, counted)
    if (!counted && e.seq > this.head || !placed && this.seg && e.seq > this.seg.high) this.#held.set(e.seq, e)
    while (counted || placed) {
      const a = this.#held.get(this.head + 1), b = this.seg && this.#held.get(this.seg.high + 1)
      counted = !!a && this.#count(a)
      placed = b ? this.#place(b, false) : counted && !this.seg ? this.#place(a!, true) : false
    }
    for (const seq of this.#held.keys()) if (seq <= this.seen) this.#held.delete(seq)
    if (this.seen < this.known) this.mind()
    this.core.out.placed(this)
    this.save()
    this.touch()
  }

  /** Everything up to here has come. */
  get seen(): number { return Math.min(this.head, this.seg?.high ?? this.head) }

  #place(e: Entry, fresh: boolean): boolean {
    if (!this.seg) {
      if (!fresh || this.#stored) return false // what is stored is read first
      this.seg = new Segment(e.seq, e.seq - 1)
      this.seg.more = e.seq > (this.h?.floorSeq ?? 1)
    }
    if (e.seq !== this.seg.high + 1) return false
    this.seg.put(e)
    this.seg.high = e.seq
    this.core.keep('entries', seqKey(this.id, e.seq), () => this.seg?.entries.get(e.seq) ?? e)
    this.#affect(e)
    if (isMessage(e)) this.drafts?.placed(e.seq, e.clientMsgId, e.sender)
    return true
  }

  #affect(e: Entry): void {
    if (!e.target) return
    for (const s of [this.seg, ...this.away]) {
      const now = s?.affect(e)
      if (!now) continue
      if (s === this.seg) this.core.keep('entries', seqKey(this.id, now.seq), () => this.seg?.entries.get(now.seq) ?? now)
      this.core.emit('message:change', this.message_(now))
    }
  }

  /** Moves the row on by one entry, as the server does. */
  #count(e: Entry): boolean {
    if (e.seq !== this.head + 1) return false
    this.head = e.seq
    const h = this.h && (this.h = { ...this.h, headSeq: e.seq })
    if (isMessage(e)) this.#typing.delete(e.sender)
    if (!h) return true
    if (isMessage(e)) {
      if (!e.quiet) {
        h.last = e
        h.updatedAt = e.createdAt
      }
      if (!e.quiet && e.sender !== this.me && e.seq > this.read && e.seq > this.#counted) {
        h.unread++
        h.mentioned = !!h.mentioned || !!e.mentions?.some(u => u === this.me || u === '*')
      } else if (e.sender === this.me) this.#typed = 0
      if (!e.quiet) this.core.emit('message', this.message_(e))
      this.#received()
    } else if (e.kind === 'recall' || e.kind === 'expire') {
      if (!e.quiet && e.seq > this.#counted && e.targetSender !== this.me && e.target! > this.read && e.target! >= (h.floorSeq ?? 1)) h.unread = Math.max(0, h.unread - 1)
      if (h.last?.seq === e.target) {
        const { content: _, ...last } = h.last!
        h.last = { ...last, recalled: e.kind === 'recall', expired: e.kind === 'expire' }
      }
    } else if (e.kind === 'edit') {
      if (h.last && h.last.seq === e.target && e.content) h.last = { ...h.last, content: e.content, editedAt: e.createdAt }
    } else if (e.kind !== 'react' && e.kind !== 'answer') this.#countChange(h, e)
    this.core.unreadChanged()
    return true
  }

  #countChange(h: SessionHead, e: Entry): void {
    const n = e.members?.length ?? 0
    if (n) this.#commands = null // a bot may have come or gone
    h.memberCount = (h.memberCount ?? 0) + (e.kind === 'join' ? n : e.kind === 'leave' ? -n : 0)
    if (e.name) h.name = e.name
    const c = e.change
    if (c?.avatar === '') void this.people.load(true).catch(() => {}) // what is shown then is told there
    else if (c?.avatar !== undefined) h.avatar = c.avatar
    if (c?.silenceAll !== undefined) h.silenceAll = c.silenceAll
    if (c?.readOnly !== undefined) h.readOnly = c.readOnly
    if (e.kind === 'change' && e.members?.includes(this.me)) {
      if (c?.silencedUntil !== undefined) h.silencedUntil = c.silencedUntil
      else h.role = e.role ?? 'member'
    }
    if (e.owner === this.me) h.role = 'owner'
    else if (e.owner && h.role === 'owner') h.role = 'admin'
    this.people.stale()
  }

  /** Looks after a moment whether everything that is known has come. */
  mind(seq = 0): void {
    this.known = Math.max(this.known, seq)
    this.core.later('gap' + this.id, gap, () => { if (this.seen < this.known) void this.repair() }, true)
  }

  /** Fetches what is missing up to the end, and no more. */
  async repair(): Promise<void> {
    if (this.#repairing || !this.core.online || !this.known_) return
    this.#repairing = true
    try {
      for (let more = true; more && this.known_;) {
        const after = this.seen, epoch = this.#epoch
        const f = await this.core.ask('sync', { session: this.id, afterSeq: after, limit: 200, ...(epoch && { epoch }) })
        if (f.epoch) this.#epoch = f.epoch
        if (f.gone && this.seg && f.gone.upTo > this.seg.high) { this.#dropSegment(); this.head = Math.max(this.head, f.gone.upTo) }
        const list = f.messages ?? []
        if (!list.length) this.known = Math.max(this.seen, Math.min(this.known, f.headSeq))
        for (const e of list) {
          if (e.seq > this.seen + 1 && e.seq === list[0]!.seq) this.#skip(e.seq - 1) // not ours to read
          this.take(e)
        }
        more = f.hasMore && list.length > 0
      }
    } catch (e) {
      const { code } = failure(e)
      if (code === 'EPOCH_CHANGED' || code === 'OUT_OF_RANGE') {
        this.forget()
        if (this.lines.size) void this.load()
      }
    } finally {
      this.#repairing = false
    }
  }

  #skip(upTo: number): void {
    this.head = Math.max(this.head, upTo)
    if (this.seg && this.seg.high < upTo) this.seg.high = upTo
  }

  /** Sees to it that the newest part of the log is here: from what is stored, then from the server. */
  load(): Promise<void> {
    return (this.#loading ??= this.#load().finally(() => {
      this.#loading = null
      this.touch()
    }))
  }

  async #load(): Promise<void> {
    if (!this.seg) await this.core.opened()
    if (!this.seg && this.#stored) {
      const { low, high, more, gone } = this.#stored
      const rows = await this.core.stored('entries', { from: seqKey(this.id, low), to: seqKey(this.id, high) })
      if (!this.seg && this.#stored) {
        const list = rows.map(r => r.value as Entry)
        let from = list.length // only what hangs together
        for (let want = high; from > 0 && list[from - 1]!.seq === want; from--) want--
        const good = list.slice(from)
        this.#stored = undefined
        if (good.length) {
          this.seg = Object.assign(new Segment(good[0]!.seq, high), { more: more || from > 0, gone })
          for (const e of good) this.seg.put(e)
          this.touch()
        }
      }
    }
    if (!this.core.online || !this.known_) return
    if (this.seg && this.seg.high < this.known && this.known - this.seg.high > far) this.#dropSegment()
    if (this.seg) {
      this.lookForDrafts()
      return this.seen < this.known ? this.repair() : undefined
    }
    const limit = Math.min(200, Math.max(this.core.page, this.head - this.read + 20))
    const f = await this.core.ask('sync', { session: this.id, limit })
    if (f.streams?.length) this.drafted(d => d.whole(f.streams!))
    if (this.seg) return
    const list = f.messages ?? []
    if (f.epoch) this.#epoch = f.epoch
    const seg = new Segment(list[0]?.seq ?? f.headSeq + 1, list.at(-1)?.seq ?? f.headSeq)
    seg.more = f.hasMore
    for (const e of list) {
      seg.put(e)
      this.core.out.arrived(e)
      this.core.keep('entries', seqKey(this.id, e.seq), () => this.seg?.entries.get(e.seq) ?? e)
    }
    this.seg = seg
    this.known = Math.max(this.known, f.headSeq)
    this.core.out.placed(this)
    for (const e of [...this.#held.values()].sort((a, b) => a.seq - b.seq)) this.take(e)
    if (this.seen < this.known) this.mind()
    this.save()
  }

  /** Bots may be writing here, which one has not heard of. */
  lookForDrafts(): void {
    const t = this.h?.sessionType
    if (this.drafts?.some || t === 'group' || t === 'muc' || (this.peer && isBot(this.peer))) this.drafted(d => void d.look())
  }

  /** Reads a page of what lies below a part of the log. */
  async older(seg: Segment, limit: number): Promise<boolean> {
    if (!seg.more) return false
    const f = await this.core.ask('sync', { session: this.id, beforeSeq: seg.low, limit, ...(this.#epoch && { epoch: this.#epoch }) })
    const list = (f.messages ?? []).filter(e => e.seq < seg.low)
    seg.before(list, f.hasMore && list.length > 0)
    if (!seg.more && seg.low > (this.h?.floorSeq ?? 1)) seg.gone = true
    if (seg === this.seg) {
      for (const e of list) this.core.keep('entries', seqKey(this.id, e.seq), () => seg.entries.get(e.seq))
      this.save()
    }
    this.touch()
    return list.length > 0
  }

  around(seq: number, page: number): Promise<Segment> { return a.around(this, seq, page) }
  newer(seg: Segment, page: number): Promise<Segment> { return a.newer(this, seg, page) }

  /** Joins a part to the newest one, when they touch. */
  join(seg: Segment): Segment {
    const main = this.seg
    if (!main || seg === main || seg.high + 1 < main.low) return seg
    const list: Entry[] = []
    for (let s = seg.low; s < main.low; s++) { const e = seg.entries.get(s); if (e) list.push(e) }
    main.before(list, seg.more)
    main.gone = seg.gone
    for (const e of list) this.core.keep('entries', seqKey(this.id, e.seq), () => main.entries.get(e.seq))
    this.save()
    return main
  }

  /** Lets go of the oldest, when there are too many and nobody looks. */
  trim(keep: number): number {
    const s = this.seg
    if (!s || this.lines.size || s.high - s.low < keep + 100) return 0
    const low = s.high - keep + 1
    const n = low - s.low
    for (let q = s.low; q < low; q++) {
      const e = s.entries.get(q)
      if (e) s.ids.delete(e.messagerecvId)
      s.entries.delete(q)
    }
    s.low = low
    s.more = true
    this.core.keepDropRange('entries', seqKey(this.id, 0), seqKey(this.id, low - 1))
    this.save()
    return n
  }

  // --- messages

  find(id: Id): Entry | undefined {
    for (const s of [this.seg, ...this.away]) {
      const seq = s?.ids.get(id)
      if (seq) return s!.entries.get(seq)
    }
    return undefined
  }

  /** An entry as a message: the same object while nothing about it changes. */
  message_(e: Entry, deep = true): Message {
    const own = e.sender === this.me
    const receipts = own && this.h ? this.people.receipts(e.seq) : none
    const status: Status = !own ? 'received' : receipts.total && receipts.read >= receipts.total ? 'read' : receipts.total && receipts.delivered >= receipts.total ? 'delivered' : 'sent'
    const ref = e.replyTo && deep ? this.#ref(e.replyTo) : null
    const answers = this.seg?.answers.get(e.seq), done = e.content?.type === 'card' && !isBot(e.sender) ? this.seg?.done.get(e.messagerecvId) : undefined
    const draft = this.drafts?.was(e.seq, e.clientMsgId), beside = troupe(e.content), variants = this.variants(e.messagerecvId, beside?.variantOf)
    const sig = [status, receipts.read, receipts.delivered, receipts.total, answers?.length, !!done, deep, draft?.key, variants?.join()].join()
    const had = this.#made.get(e)
    if (had && had.sig === sig && had.ref === ref) return had.m
    const was = e as Entry & Was
    let said = parts(e.content)
    if (done) said = said.map(p => (p.t === 'card' && !p.card.done ? { ...p, card: { ...p.card, done } } : p))
    const clientId = e.clientMsgId || e.messagerecvId
    const m: Message = {
      id: e.messagerecvId, clientId, key: draft?.key ?? (own ? clientId : e.messagerecvId), conversation: this.id, seq: e.seq, from: e.sender, own, at: e.createdAt,
      kind: kind(e.content), parts: said, status, mentions: e.mentions ?? [], reactions: (e.reactions ?? []).map(r => this.#reaction(r)), receipts,
      ...(e.replyTo && { replyTo: { id: e.replyTo, seq: ref?.seq ?? null, message: ref } }), ...(e.editedAt && { edited: e.editedAt }),
      ...(e.recalled && { revoked: { by: was.by ?? e.sender, at: was.goneAt ?? e.createdAt, ...(own && was.was && { text: was.was }) } }),
      ...(e.expired && { expired: true }), ...(e.expire && { expiresAt: e.createdAt + e.expire * 1000 }), ...((draft || beside?.finish || beside?.model || variants) && { stream: { state: ends[beside?.finish ?? ''] ?? draft?.state ?? 'done', rev: 0, ...(variants && { variants }) } }),
      ...(e.deal && { deal: tidy({ state: e.deal.state, by: e.deal.by, reason: e.deal.reason, at: e.deal.at }) as Deal }),
      ...(answers && { answers }), ...(e.platform && { platform: e.platform }), ...(e.cut && { cut: true }),
    }
    this.#made.set(e, { m, sig, ref })
    return m
  }

  #reaction(r: NonNullable<Entry['reactions']>[number]): Reaction {
    return { emoji: r.reaction, users: r.users, count: r.count ?? r.users.length, mine: r.users.includes(this.me) }
  }

  #ref(id: Id): Message | null {
    const e = this.find(id)
    return e && !e.recalled && !e.expired ? this.message_(e, false) : null
  }

  /** What waits here, as messages. */
  waiting(s: Sending): Message {
    const content = s.content
    const ref = s.replyTo ? this.#ref(s.replyTo) : null
    return {
      id: s.id ?? s.clientId, clientId: s.clientId, key: s.clientId, conversation: this.id, seq: s.seq ?? null, from: this.me, own: true, at: s.at, kind: kind(content), parts: parts(content, s.files),
      status: s.state, mentions: s.mentions ?? [], reactions: [], receipts: none, ...(s.error && { error: new TroupeError(s.error.code, s.error.message) }),
      ...(s.replyTo && { replyTo: { id: s.replyTo, seq: ref?.seq ?? null, message: ref } }), ...(s.files && { progress: s.progress ?? 0 }),
    }
  }

  /** Another message, as one that answers it has it. */
  ref(id: Id): Ref {
    const message = this.#ref(id)
    return { id, seq: message?.seq ?? null, message }
  }

  /** All answers to the question that this one answers, the first one first; undefined: it is the only one. */
  variants(id: Id, first = id): readonly Id[] | undefined {
    for (const s of [this.seg, ...this.away]) {
      const all = s?.variants.get(first)
      if (all) return all
    }
    return undefined
  }

  /** A row of a timeline; null: it is not shown by itself. */
  item(e: Entry): Item | null {
    const base = { key: e.messagerecvId, seq: e.seq, at: e.createdAt }
    switch (e.kind ?? 'message') {
      case 'message': {
        if (e.quiet || deed(e.content)) return null
        if (e.deal?.state === 'rejected' && e.sender !== this.me) return null
        const all = this.variants(e.messagerecvId, troupe(e.content)?.variantOf)
        if (all && all.at(-1) !== e.messagerecvId) return null // the newest one shows it
        const message = this.message_(e)
        return { t: 'message', key: message.key, seq: e.seq, at: e.createdAt, message }
      }
      case 'join': return { t: 'event', ...base, event: { t: 'joined', by: e.sender, users: e.members ?? [] } }
      case 'leave': return { t: 'event', ...base, event: { t: 'left', by: e.sender, users: e.members ?? [], ...(e.owner && { owner: e.owner }) } }
      case 'change': return { t: 'event', ...base, event: { t: 'changed', by: e.sender, what: change(e) } }
      case 'answer': return { t: 'event', ...base, event: { t: 'answered', by: e.sender, message: e.target ?? 0, answer: e.answer === 'accept' ? 'accept' : 'refuse' } }
      default: return null
    }
  }

  // --- frames

  receipt(user: Id, read = 0, recv = 0): void {
    const m = this.marks.get(user) ?? { read: 0, recv: 0 }
    this.marks.set(user, { read: Math.max(m.read, read), recv: Math.max(m.recv, recv, read) })
    this.people.marked()
    this.core.emit('receipt', { conversation: this.id, user, ...(read && { readSeq: read }), ...(recv && { receivedSeq: recv }) })
    this.touch()
  }

  unread(readSeq: number, unread: number): void {
    this.#readTold = Math.max(this.#readTold, readSeq)
    if (!this.h || readSeq < this.read) return
    this.read = readSeq
    const here = this.#unreadHere(readSeq)
    // The server counts what it had told before this. That may be less than was fetched here, so what is loaded is
    // counted here; and more than was taken: what was told and is still held is in its count.
    this.#counted = here !== undefined ? this.head : Math.max(this.head, ...[...this.#held.values()].map(e => ((e as { offset?: number }).offset ? e.seq : 0)))
    unread = here ?? unread
    this.h = { ...this.h, readSeq, unread, mentioned: unread > 0 && !!this.h.mentioned }
    this.save()
    this.touch()
    this.core.unreadChanged()
  }

  /** What bots write and whisper is taken by what is loaded for it with the first of it, in order. */
  drafted(f: (d: Drafts) => void): void {
    if (this.drafts) return f(this.drafts)
    this.#drafting ??= import('./drafts.js').then(m => (this.drafts = new m.Drafts(this)))
    this.#drafting.then(f, () => { this.#drafting = null })
  }

  isTyping(user: Id): void {
    if (user === this.me) return
    this.#typing.set(user, this.core.env.clock.now() + typingFor)
    const tell = (): void => {
      this.touch()
      this.core.emit('typing', { conversation: this.id, users: this.typists })
    }
    this.core.later('typing' + this.id + user, typingFor + 20, tell)
    tell()
  }

  // --- marks of one's own

  /** How many messages of others behind upTo are unread, where all of them are loaded. */
  #unreadHere(upTo: number): number | undefined {
    const s = this.seg
    if (!s || s.high < this.head || s.low > upTo + 1) return undefined
    let n = 0
    for (let q = upTo + 1; q <= this.head; q++) {
      const e = s.entries.get(q)
      if (e && isMessage(e) && !e.quiet && e.sender !== this.me && !e.recalled && !e.expired) n++
    }
    return n
  }

  markRead(upTo: Seq = this.head): void {
    upTo = Math.min(upTo, this.known)
    if (upTo <= this.read || !this.h) return
    this.read = upTo
    const unread = this.#unreadHere(upTo) ?? this.h.unread // the server tells the rest
    this.h = { ...this.h, readSeq: upTo, unread: upTo < this.head ? unread : 0, mentioned: upTo < this.head && !!this.h.mentioned }
    this.save()
    this.touch()
    this.core.share({ t: 'read', id: this.id, seq: upTo })
    this.core.marks.add(this)
    this.core.unreadChanged()
  }

  /** Another tab has read so far. */
  readElsewhere(seq: number): void {
    if (seq > this.read && this.h) this.unread(seq, seq >= this.head ? 0 : this.h.unread)
  }

  /** Tells the server, when there is something to tell. */
  async tellRead(): Promise<void> {
    const seq = this.read
    if (seq <= this.#readTold || !this.core.online || !this.known_) return
    try {
      await this.core.ask('msg_read', { session: this.id, seq })
      this.#readTold = Math.max(this.#readTold, seq)
      this.save()
    } catch { /* told when the connection is back */ }
  }

  get readUntold(): boolean { return this.read > this.#readTold }

  /** Says, not too often, that this device has everything. */
  #received(ms = 200, seq = 0): void { this.core.later('recv' + this.id, ms, () => void this.tellReceived(seq), true) }

  async tellReceived(least = 0): Promise<void> {
    const seq = Math.max(this.seen, least)
    if (!this.core.leads || seq <= this.#recvTold || !this.known_ || !this.core.online || (this.h?.last && this.h.last.seq <= this.#recvTold)) return
    try {
      await this.core.ask('msg_recv', { session: this.id, seq })
      this.#recvTold = Math.max(this.#recvTold, seq)
    } catch { /* with the next one */ }
  }

  // --- what one does

  timeline(o: { at?: Seq | 'unread' | 'latest'; page?: number } = {}): Timeline { return new Line(this, o) }

  send(draft: Draft, o: SendOptions = {}): Outgoing {
    this.#typed = 0
    for (const l of this.lines) l.sent()
    return this.core.out.add(this.id, prepare(draft), o)
  }

  outgoing(clientId: string): Outgoing | null { return this.core.out.handle(clientId) }

  typing(on = true): void {
    const now = this.core.env.clock.now()
    if (!on) { this.#typed = 0; return }
    if (now - this.#typed < typingFor / 2 || !this.core.online) return
    this.#typed = now
    this.core.ask('msg_editing', { session: this.id }).catch(() => {})
  }

  setDraft(text: string, told = false): void {
    if (text === this.draft.value) return
    this.draft.set(text)
    this.view.touch()
    this.core.listChanged()
    this.save()
    if (!told) this.core.later('draft' + this.id, 300, () => this.core.share({ t: 'draft', id: this.id, text }))
  }

  async message(id: Id): Promise<Message> {
    return this.message_(await this.entry(id))
  }

  /** The entry with this id, from what is here or from the server. */
  async entry(id: Id): Promise<Entry> { return this.find(id) ?? a.entry(this, id) }

  edit(id: Id, draft: Draft): Promise<void> { return a.edit(this, id, draft) }
  revoke(id: Id): Promise<void> { return a.revoke(this, id) }
  react(id: Id, emoji: string, on: boolean): Promise<void> { return a.react(this, id, emoji, on) }

  forward(ids: readonly Id[], to: readonly Id[], o: { merged?: boolean; note?: string } = {}): Outgoing[] {
    const names = ids.map(id => tidy({ session: this.id, messagerecvId: id }))
    const out: Outgoing[] = []
    for (const target of to) {
      const c = this.core.convo(target)
      if (o.merged) out.push(c.send({ content: { type: 'forward', title: this.view.value?.title ?? '', forwarded: names } }))
      else for (const id of ids) out.push(c.send({ content: this.#repeat(id) as never }))
      if (o.note) out.push(c.send(o.note))
    }
    return out
  }

  /** The content that says the same again. */
  #repeat(id: Id): object {
    const c = this.find(id)?.content
    return c && c.type !== 'system' && c.type !== 'liveaudio' && c.type !== 'livevideo' ? c : { type: 'forward', forwarded: [{ session: this.id, messagerecvId: id }] }
  }

  readonly review: Review = {
    list: cursor => a.held(this, cursor),
    original: id => a.original(this, id),
    decide: (id, verdict, reason) => a.decide(this, id, verdict, reason),
  }

  dismiss(id: Id): void { this.drafts?.dismiss(id) }

  async update(what: { pinned?: boolean; muted?: boolean }): Promise<void> {
    await this.core.ask('session_set', tidy({ session: this.id, sticky: what.pinned, muted: what.muted }) as never)
    if (!this.h) return
    this.h = { ...this.h, sticky: what.pinned ?? this.h.sticky, muted: what.muted ?? this.h.muted }
    this.save()
    this.touch()
    this.core.unreadChanged()
  }

  configure(what: GroupSettings): Promise<void> { return this.people.configure(what) }
  readers(id: Id): Cell<Readers> { return this.people.readers(id) }

  leave(): Promise<void> { return a.leave(this) }
  dissolve(): Promise<void> { return a.dissolve(this) }
  answerCall(id: Id, answer: 'accept' | 'refuse'): Promise<void> { return a.answerCall(this, id, answer) }

  readonly bot: BotActions = {
    stop: async id => { await this.core.ask('msg_cancel', { session: this.id, messagerecvId: id }) },
    regenerate: id => this.core.out.add(this.id, { content: { type: 'card', title: 'regenerate', data: { troupe: { action: 'regenerate' } } } }, { replyTo: id }),
    commands: locale => {
      const now = this.core.env.clock.now()
      if (!this.#commands || this.#commands.until < now || this.#commands.locale !== locale) {
        const list = a.commands(this, locale)
        this.#commands = { until: now + 300_000, list, locale }
        list.catch(() => { this.#commands = null })
      }
      return this.#commands.list
    },
    submit: async (id, action, values) => {
      const out = this.core.out.add(this.id, { content: { type: 'card', title: action, data: { troupe: tidy({ action, values }) } } }, { replyTo: id })
      await out.sent
    },
  }
}

const none = { delivered: 0, read: 0, total: 0 }
const isMessage = (e: Entry): boolean => (e.kind ?? 'message') === 'message'
/** What a bot's finish means for whoever reads it. */
const ends: Record<string, StreamState['state']> = { cancelled: 'stopped', interrupted: 'failed', failed: 'failed' }

function change(e: Entry): GroupChange {
  const { silencedUntil, dissolved, ...rest } = e.change ?? {}
  return tidy({
    ...rest, title: e.name, owner: e.owner, dissolved,
    role: e.role && e.members?.length && silencedUntil === undefined ? { users: e.members, role: e.role } : undefined,
    silenced: silencedUntil === undefined ? undefined : { users: e.members ?? [], until: silencedUntil >= forever ? Infinity : silencedUntil },
  }) as GroupChange
}

export type { SessionInfo, WireMember, Member }
