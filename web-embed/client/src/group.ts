import type { ConversationInfo, GroupRequest, GroupSettings, Id, Links, Member, Members, Page, Readers } from './api.js'
import type { Member as WireMember, SessionInfo } from './wire-types.js'
import type { Convo } from './convo.js'
import { a } from './seldom.js'
import { Cell } from './live.js'
import { forever } from './convo.js'
import { tidy } from './content.js'

const page = 500

/** Who is in a conversation, what it is, and what its owner and admins do. */
export class Group implements Members {
  readonly info: Cell<ConversationInfo | null>
  #info: SessionInfo | null = null
  #list: Cell<readonly Member[]>
  #members = new Map<Id, WireMember>()
  #made = new WeakMap<WireMember, { m: Member; sig: string }>()
  #next: string | undefined
  #read = false // the first page is here
  #reading: Promise<void> | null = null
  #readers = new Map<Id, Cell<Readers>>()
  #reads: number[] | null = null
  #recvs: number[] = []

  constructor(readonly c: Convo) {
    const first = (): void => { void this.load().catch(() => {}) }
    this.info = new Cell<ConversationInfo | null>(c.core.bell, undefined, () => this.#view(), first)
    this.#list = new Cell<readonly Member[]>(c.core.bell, undefined, () => [...this.#members.values()].map(m => this.member(m)), first)
  }

  list(): Cell<readonly Member[]> {
    if (!this.#read) void this.load().catch(() => {})
    return this.#list
  }

  /** Reads what is known of the conversation, with the first page of its members. */
  load(anew = false): Promise<void> {
    if (this.#read && !anew || this.c.gone) return Promise.resolve()
    return (this.#reading ??= this.c.core.ask('session_get', { session: this.c.id, limit: page }).then(f => {
      this.c.core.people.take(f.users)
      this.#info = f.info ?? null
      this.#members.clear()
      this.#add(f.info?.members)
      this.#next = f.next
      this.#read = true
      if (this.c.h && f.info) this.c.h = { ...this.c.h, memberCount: f.info.memberCount ?? this.#members.size, name: f.info.name ?? '', ...(f.info.avatar && { avatar: f.info.avatar }) }
      this.#told()
    }).finally(() => { this.#reading = null }))
  }

  /** Marks are read for receipts, where somebody looks at messages. */
  async marksOf(anew = false): Promise<void> {
    try {
      if (this.c.core.online && this.c.known_ && this.c.h?.sessionType !== 'system') await this.load(anew)
    } catch { /* read again with the next connection */ }
  }

  /** Members came, went or changed: they are read again where somebody looks. */
  stale(): void {
    if (this.#read) this.c.core.later('people' + this.c.id, 100, () => void this.load(true).catch(() => {}))
  }

  #add(list: readonly WireMember[] | undefined): void {
    for (const m of list ?? []) {
      this.#members.set(m.user, m)
      const mark = this.c.marks.get(m.user) ?? { read: 0, recv: 0 }
      this.c.marks.set(m.user, { read: Math.max(mark.read, m.readSeq ?? 0), recv: Math.max(mark.recv, m.recvSeq ?? 0, m.readSeq ?? 0) })
    }
    this.marked()
  }

  async more(): Promise<boolean> {
    await this.load()
    if (!this.#next) return false
    const f = await this.c.core.ask('session_get', { session: this.c.id, limit: page, cursor: this.#next })
    this.c.core.people.take(f.users)
    this.#add(f.info?.members)
    this.#next = f.next
    this.#told()
    return true
  }

  get(user: Id): Promise<Member> { return a.member(this, user) }

  find(begin: string): readonly Member[] {
    const b = begin.toLowerCase()
    return this.list().value.filter(m => m.user.id !== this.c.me && [m.user.name, m.user.nickname, m.user.account ?? ''].some(n => n.toLowerCase().startsWith(b)))
  }

  member(m: WireMember): Member {
    const user = this.c.core.people.user(m.user), mark = this.c.marks.get(m.user)
    const sig = [mark?.read, mark?.recv].join()
    const had = this.#made.get(m)
    if (had && had.sig === sig && had.m.user === user) return had.m
    const member: Member = {
      user, role: m.role, readSeq: mark?.read ?? m.readSeq ?? 0, receivedSeq: mark?.recv ?? m.recvSeq ?? 0,
      ...(m.inviter && { inviter: m.inviter }), ...(m.joinedAt && { joinedAt: m.joinedAt }), ...(m.silencedUntil && { silencedUntil: m.silencedUntil >= forever ? Infinity : m.silencedUntil }),
    }
    this.#made.set(m, { m: member, sig })
    return member
  }

  #view(): ConversationInfo | null {
    const i = this.#info
    return i && tidy({
      id: this.c.id, kind: i.sessionType, title: i.name ?? '', avatar: i.avatar && this.c.core.link(i.avatar), creator: i.creator, owner: i.owner, createdAt: i.createdAt,
      announcement: i.announcement ?? '', announcedBy: i.announcedBy, announcedAt: i.announcedAt, joinPolicy: i.joinPolicy ?? 'invite', invitePolicy: i.invitePolicy ?? 'members',
      silenceAll: !!i.silenceAll, readOnly: !!i.readOnly, until: i.until, history: i.history === 'joined' ? 'joined' as const : 'all' as const, memberCount: i.memberCount ?? this.#members.size,
    }) as ConversationInfo
  }

  #told(): void {
    this.info.touch()
    this.#list.touch()
    this.c.touch()
  }

  /** A profile is another one. */
  touch(): void { this.#list.touch() }

  // --- marks

  marked(): void {
    this.#reads = null
    this.#list.touch()
    for (const c of this.#readers.values()) c.touch()
  }

  #others(): [Id, { read: number; recv: number }][] { return [...this.c.marks].filter(([u]) => u !== this.c.me && (!this.#read || this.#members.has(u))) }

  /** How many of the others have a message, and have read it. */
  receipts(seq: number): { delivered: number; read: number; total: number } {
    const total = this.c.h?.sessionType === 'p2p' ? 1 : (this.c.h?.memberCount ?? 0) - 1
    if (total < 1 || total >= page || !this.#read && !this.c.marks.size) return total === 1 ? { delivered: 0, read: 0, total } : { delivered: 0, read: 0, total: 0 }
    if (!this.#reads) {
      const all = this.#others().map(([, m]) => m)
      this.#reads = all.map(m => m.read).sort((a, b) => a - b)
      this.#recvs = all.map(m => m.recv).sort((a, b) => a - b)
    }
    return { delivered: atLeast(this.#recvs, seq), read: atLeast(this.#reads, seq), total }
  }

  readers(id: Id): Cell<Readers> {
    let cell = this.#readers.get(id)
    if (!cell) {
      this.#readers.set(id, cell = new Cell<Readers>(this.c.core.bell, undefined, () => {
        const seq = this.c.find(id)?.seq ?? Infinity, r: { read: Member['user'][]; delivered: Member['user'][]; rest: Member['user'][] } = { read: [], delivered: [], rest: [] }
        if (this.#members.size < page) for (const [u, m] of this.#others()) (m.read >= seq ? r.read : m.recv >= seq ? r.delivered : r.rest).push(this.c.core.people.user(u))
        return r
      }, () => void this.load().catch(() => {})))
    }
    return cell
  }

  // --- what is done

  configure(what: GroupSettings): Promise<void> { return a.configure(this, what) }
  add(users: readonly Id[]): Promise<void> { return a.add(this, users) }
  remove(users: readonly Id[]): Promise<void> { return a.remove(this, users) }
  setRole(users: readonly Id[], role: 'member' | 'admin'): Promise<void> { return a.set(this, { members: users, role }) }
  silence(users: readonly Id[], until: number): Promise<void> { return a.set(this, { members: users, silencedUntil: Math.min(until, forever) }) }
  transfer(to: Id): Promise<void> { return a.set(this, { owner: to }) }
  invite(user: Id, note?: string): Promise<GroupRequest> { return a.invite(this, user, note) }
  requests(): Promise<Page<GroupRequest>> { return a.requests(this) }

  readonly links: Links = {
    create: (o = {}) => a.createLink(this, o),
    list: cursor => a.listLinks(this, cursor),
    revoke: id => a.revokeLink(this, id),
  }
}

/** How many of the sorted numbers are n or more. */
function atLeast(sorted: readonly number[], n: number): number {
  let a = 0, b = sorted.length
  while (a < b) {
    const m = (a + b) >> 1
    if (sorted[m]! >= n) b = m
    else a = m + 1
  }
  return sorted.length - a
}
