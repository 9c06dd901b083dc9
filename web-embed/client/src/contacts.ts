import type { Contact, Contacts, FriendRequest, GroupRequest, Id, PersonRequest, RequestState } from './api.js'
import type { Contact as WireContact, Request } from './wire-types.js'
import type { Core } from './core.js'
import { a } from './seldom.js'
import { Cell } from './live.js'
import { tidy } from './content.js'

/** Friends, blocked users, and what people ask of each other. */
export class Friends implements Contacts {
  contacts = new Map<Id, WireContact>()
  #version = -1
  #loading: Promise<void> | null = null
  #requests = new Map<Id, Request>()
  #views = new WeakMap<Request, { v: PersonRequest; from: unknown; other: unknown }>()
  #next: string | undefined
  #all = false // the first page of all requests was read
  #list: Cell<readonly Contact[]>
  #asked: Cell<readonly PersonRequest[]>
  readonly waiting: Cell<number>

  constructor(readonly core: Core) {
    this.#list = new Cell<readonly Contact[]>(core.bell, undefined, () => [...this.contacts.values()].map(c => this.contact(c))
      .sort((a, b) => Number(a.blocked) - Number(b.blocked) || a.user.name.localeCompare(b.user.name)))
    this.#asked = new Cell<readonly PersonRequest[]>(core.bell, undefined, () => [...this.#requests.values()].sort((a, b) => (b.updateTime ?? b.createTime ?? 0) - (a.updateTime ?? a.createTime ?? 0)).map(r => this.view(r)))
    this.waiting = new Cell<number>(core.bell, undefined, () => this.#asked.value.filter(r => r.mayAnswer).length)
  }

  remark(id: Id): string | undefined { return this.contacts.get(id)?.remark }
  list(): Cell<readonly Contact[]> { return this.#list }
  get(id: Id): Contact | null {
    const c = this.contacts.get(id)
    return c ? this.contact(c) : null
  }

  contact(c: WireContact): Contact {
    return { user: this.core.people.user(c.user), friend: c.friend, blocked: c.blocked, tags: c.tags ?? [], ...(c.remark && { remark: c.remark }), ...(c.since && { since: c.since }), ...(c.session && { conversation: c.session }) }
  }

  /** Takes what was stored. */
  restore(v: { version: number; list: WireContact[] }): void {
    this.#version = v.version
    for (const c of v.list) this.contacts.set(c.user, c)
    this.#list.touch()
  }

  #save(): void {
    this.core.keep('meta', 'contacts', () => ({ version: this.#version, list: [...this.contacts.values()] }))
    this.#list.touch()
  }

  /** The server says which version of the contacts it has; another one is listed. */
  heard(version: number): Promise<void> {
    if (version === this.#version) return Promise.resolve()
    return (this.#loading ??= this.#load().catch(() => {}).finally(() => { this.#loading = null }))
  }

  async #load(): Promise<void> {
    const all = new Map<Id, WireContact>()
    let cursor: string | undefined, version = 0
    do {
      const f = await this.core.ask('contact_list', tidy({ cursor, limit: 200 }) as never)
      for (const c of f.contacts ?? []) all.set(c.user, this.#strip(c))
      cursor = f.next
      version = f.contactsVersion ?? 0
    } while (cursor)
    const before = this.contacts
    this.contacts = all
    this.#version = version
    this.#save()
    for (const id of new Set([...before.keys(), ...all.keys()])) if (before.get(id)?.remark !== all.get(id)?.remark) this.core.people.changed(id)
  }

  #strip({ profile, ...c }: WireContact): WireContact {
    if (profile) this.core.people.take([profile])
    return c
  }

  take(c: WireContact, gone = false, version?: number): void {
    c = this.#strip(c)
    const old = this.contacts.get(c.user)
    if (gone) this.contacts.delete(c.user)
    else this.contacts.set(c.user, c)
    if (version !== undefined) this.#version = version
    this.#save()
    if (old?.remark !== c.remark || gone) this.core.people.changed(c.user)
    this.core.emit('contact', { contact: this.contact(c), gone })
  }

  // --- requests

  /** A profile is another one. */
  touch(): void {
    this.#list.touch()
    this.#asked.touch()
  }

  snapshot(list: readonly Request[]): void {
    for (const [id, r] of this.#requests) if (r.callBackType === 1) this.#requests.delete(id) // what waits is in the snapshot
    for (const r of list) this.#requests.set(r.id, r)
    this.#told()
    if (this.#all) void this.#first().catch(() => {})
  }

  #told(): void {
    this.#asked.touch()
    this.waiting.touch()
  }

  heardRequest(r: Request): void {
    this.#requests.set(r.id, r)
    this.#told()
    this.core.emit('request', this.view(r))
  }

  requests(): Cell<readonly PersonRequest[]> {
    if (!this.#all) {
      this.#all = true
      if (this.core.online) void this.#first().catch(() => { this.#all = false })
    }
    return this.#asked
  }

  async #first(): Promise<void> {
    const f = await this.core.ask('request_list', { limit: 50 })
    for (const r of f.requests ?? []) this.#requests.set(r.id, r)
    this.#next = f.next
    this.#told()
  }

  async moreRequests(): Promise<boolean> {
    if (!this.#next) return false
    const f = await this.core.ask('request_list', { limit: 50, cursor: this.#next })
    for (const r of f.requests ?? []) this.#requests.set(r.id, r)
    this.#next = f.next
    this.#told()
    return true
  }

  view(r: Request): PersonRequest {
    const { people, myId } = this.core
    const from = people.user(r.from), other = r.kind === 'FRIEND' ? people.user(r.target) : r.user ? people.user(r.user) : null
    const had = this.#views.get(r)
    if (had && had.from === from && had.other === other) return had.v
    const over = r.callBackType === 1 && !!r.expireTime && r.expireTime < this.core.serverNow
    const state: RequestState = over ? 'expired' : (['waiting', 'accepted', 'refused', 'withdrawn'] as const)[r.callBackType - 1] ?? 'waiting'
    const outgoing = r.from === myId
    const base = {
      id: r.id, from, outgoing, mayAnswer: state === 'waiting' && !outgoing, state, at: r.createTime ?? 0, updatedAt: r.updateTime ?? r.createTime ?? 0,
      ...(r.note && { note: r.note }), ...(r.expireTime && { expiresAt: r.expireTime }), ...(r.answeredBy && { answeredBy: r.answeredBy }), ...(r.session && { conversation: r.session }),
    }
    const v: PersonRequest = r.kind === 'FRIEND'
      ? { ...base, kind: 'friend', to: other! }
      : { ...base, kind: 'group', group: { id: r.target, title: r.targetName ?? '', ...(r.targetIcon && { avatar: this.core.link(r.targetIcon) }) }, ...(other && { invited: other }) }
    this.#views.set(r, { v, from, other })
    return v
  }

  made(f: { request?: Request }): PersonRequest {
    this.#requests.set(f.request!.id, f.request!)
    this.#told()
    return this.view(f.request!)
  }

  request(id: Id, note?: string): Promise<FriendRequest> { return a.befriend(this, id, 'FRIEND', note) as Promise<FriendRequest> }
  requestGroup(id: Id, note?: string): Promise<GroupRequest> { return a.befriend(this, id, 'GROUP', note) as Promise<GroupRequest> }
  answer(id: Id, answer: 'accept' | 'refuse'): Promise<PersonRequest> { return a.answer(this, id, answer === 'accept' ? 2 : 3) }
  withdraw(id: Id): Promise<PersonRequest> { return a.answer(this, id, 4) }
  remove(id: Id): Promise<void> { return a.unfriend(this, id) }
  block(id: Id, on: boolean): Promise<void> { return a.setContact(this, { user: id, blocked: on }) }
  update(id: Id, what: { remark?: string; tags?: readonly string[] }): Promise<void> {
    return a.setContact(this, { user: id, remark: what.remark, tags: what.tags, setTags: what.tags && true })
  }
}
