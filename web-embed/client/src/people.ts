import type { Id, Page, Presence, PresenceStatus, Presences, User, Users } from './api.js'
import type { Profile } from './wire-types.js'
import type { Core } from './core.js'
import { a } from './seldom.js'
import { Cell } from './live.js'
import { isBot } from './content.js'
import { failure } from './error.js'

/** Profiles: those that came, and those that are asked for, a hundred at a time. */
export class People implements Users {
  #profiles = new Map<Id, Profile>()
  #cells = new Map<Id, Cell<User>>()
  #made = new Map<Id, { p: Profile | undefined; remark: string | undefined; user: User }>()
  #want = new Set<Id>()
  #asked = new Set<Id>()
  #timer: unknown

  constructor(readonly core: Core) {}

  get = (id: Id): Cell<User> => {
    let c = this.#cells.get(id)
    if (!c) this.#cells.set(id, c = new Cell<User>(this.core.bell, undefined, () => this.user(id)))
    return c
  }

  /** user is what is known of one, the same object as long as nothing changes; the unknown are asked for. */
  user(id: Id): User {
    const p = this.#profiles.get(id), remark = this.core.friends.remark(id)
    const had = this.#made.get(id)
    if (had && had.p === p && had.remark === remark) return had.user
    if (!p) this.#wish(id)
    const nickname = p?.nickname || (id === 'system' ? 'System' : id.length > 12 ? id.slice(0, 8) + '…' : id)
    const user: User = {
      id, name: remark || nickname, nickname, kind: (p?.kind as User['kind']) ?? (id === 'system' ? 'system' : id.startsWith('g_') ? 'guest' : isBot(id) ? 'bot' : 'human'), version: p?.version ?? 0, gone: !!p?.gone,
      ...(p?.avatar && { avatar: this.core.link(p.avatar) }), ...(p?.name && { account: p.name }), ...(remark && { remark }), ...(p?.fields && { fields: p.fields }), ...(!p && { unknown: true }),
    }
    this.#made.set(id, { p, remark, user })
    return user
  }

  /** Takes profiles as they came: the newer one stands. */
  take(list: readonly Profile[] | undefined, keep = true): void {
    for (const p of list ?? []) {
      const had = this.#profiles.get(p.userId)
      if (had && (had.version ?? 0) > (p.version ?? 0)) continue
      if (had && had.version === p.version && had.fields && !p.fields) continue
      this.#profiles.set(p.userId, had?.fields && !p.fields && had.version === p.version ? { ...p, fields: had.fields } : p)
      this.#want.delete(p.userId)
      if (p.kind === 'bot' && !p.fields && !had?.fields) this.#wish(p.userId) // what it says of itself
      if (keep) this.core.keep('users', p.userId, () => this.#profiles.get(p.userId))
      this.changed(p.userId)
    }
  }

  changed(id: Id): void {
    this.#cells.get(id)?.touch()
    this.core.userChanged(id)
  }

  #wish(id: Id): void {
    if (this.#asked.has(id) || id === 'system') return
    this.#want.add(id)
    this.#timer ??= this.core.env.clock.setTimeout(() => { this.#timer = undefined; void this.ask() }, 30)
  }

  /** Asks for those that were wished for, when there is a connection. */
  async ask(): Promise<void> {
    while (this.#want.size && this.core.online) {
      const ids = [...this.#want].slice(0, 100)
      for (const id of ids) { this.#want.delete(id); this.#asked.add(id) }
      try {
        await this.load(ids)
      } catch (e) {
        if (failure(e).retryable) for (const id of ids) { this.#asked.delete(id); this.#want.add(id) }
        return
      }
    }
  }

  async load(ids: readonly Id[]): Promise<readonly User[]> {
    const { users } = await this.core.ask('user_get', { users: [...ids] })
    this.take(users)
    return users.map(p => this.user(p.userId))
  }

  search(q: string, o: { cursor?: string; limit?: number; signal?: AbortSignal } = {}): Promise<Page<User>> { return a.users(this, { search: q, cursor: o.cursor, limit: o.limit }, o.signal) }
  byName(name: string): Promise<User | null> { return a.users(this, { name }).then(p => p.items[0] ?? null) }
  bots(cursor?: string): Promise<Page<User>> { return a.users(this, { kind: 'bot', cursor }) }
  update(what: Parameters<Users['update']>[0]): Promise<User> { return a.updateMe(this, what) }
}

const typical = 500 // ids of one presence_watch at most

/** Who is there: watched while somebody looks. */
export class Attendance implements Presences {
  #known = new Map<Id, Presence>()
  #cells = new Map<Id, Cell<Presence | null>>()
  #timer: unknown
  #told = ''

  constructor(readonly core: Core) {}

  of = (user: Id): Cell<Presence | null> => {
    let c = this.#cells.get(user)
    if (!c) {
      const change = (): void => { this.#timer ??= this.core.env.clock.setTimeout(() => { this.#timer = undefined; void this.watch() }, 50) }
      this.#cells.set(user, c = new Cell<Presence | null>(this.core.bell, undefined, () => this.#known.get(user) ?? null, change, change))
    }
    return c
  }

  take(p: { userId: Id; status: string; lastActiveAt?: number }): void {
    const presence: Presence = { user: p.userId, status: p.status as PresenceStatus, ...(p.lastActiveAt && { lastSeen: p.lastActiveAt }) }
    this.#known.set(p.userId, presence)
    this.#cells.get(p.userId)?.touch()
    this.core.emit('presence', presence)
  }

  get watched(): Id[] { return [...this.#cells].filter(([, c]) => c.watched).map(([id]) => id).slice(0, typical) }

  /** Tells the server whose presence is wanted. It forgets that with the connection. */
  async watch(anew = false): Promise<void> {
    if (!this.core.leads) return this.core.share({ t: 'watch', users: this.watched })
    const users = this.core.watched, key = users.join('\n')
    if (!this.core.online || (!anew && key === this.#told) || (anew && !users.length)) return
    this.#told = key
    try {
      const f = await this.core.ask('presence_watch', { users })
      for (const p of f.users) {
        this.take(p)
        this.core.share({ t: 'frame', f: { type: 'presence', ...p } })
      }
    } catch { this.#told = '' }
  }

  async set(status: PresenceStatus): Promise<void> { await this.core.ask('presence_set', { status }) }
}
