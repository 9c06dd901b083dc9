import type {
  ClientOptions, ConnectionInfo, Connection, Conversation, Conversations, ConversationView, Events, Folder, Hit, Id, LinkCard, LinkPreview, Message, NewGroup, Page, Push, SearchOptions, StorageAdapter, StorageChange, Table, TroupeClient, Unread, User,
} from './api.js'
import type { AuthReply, Base, Entry, Profile, Resume, SessionHead, SessionListReply, Snapshot } from './wire-types.js'
import { a, ahead } from './seldom.js'
import { Attendance, People } from './people.js'
import { Bell, Cell } from './live.js'
import { Convo, type Row } from './convo.js'
import { environment, newId, type Env } from './env.js'
import { failure, TroupeError } from './error.js'
import { Friends } from './contacts.js'
import { Keeper, MemoryStorage, seqKey } from './store.js'
import { Outbox } from './outbox.js'
import { isFor, Rest } from './rest.js'
import { Store } from './files.js'
import type { Said, Tabs } from './tabs.js'
import { tidy } from './content.js'
import { Tokens } from './tokens.js'
import { Wire, type Any, type Ask } from './wire.js'

const listPage = 50
const readEvery = 350 // ms between read marks: three a second at most
const leaseFor = 10_000 // ms

/** The client: everything else hangs on it. */
export class Core implements TroupeClient, Conversations {
  readonly env: Env
  readonly bell: Bell
  readonly tokens: Tokens
  readonly rest: Rest
  readonly people: People
  readonly friends: Friends
  readonly presence: Attendance
  readonly out: Outbox
  readonly uploads: Store
  readonly connection: Cell<ConnectionInfo>
  readonly self: Cell<User | null>
  readonly unread: Cell<Unread>
  readonly hasMore: Cell<boolean>
  readonly outbox: Cell<readonly Message[]>
  readonly page = 50
  /** Conversations whose read mark the server is to be told. */
  readonly marks = new Set<Convo>()
  myId: Id
  told = 0 // how often it was put off to say what came while one was away
  device = ''
  #wire: Wire
  #tabs: Tabs | null = null
  #keeper: Keeper | null = null
  #opening: Promise<void> | null = null
  #convos = new Map<Id, Convo>()
  #lists = new Map<Folder, Cell<readonly ConversationView[]>>()
  #listeners = new Map<string, Set<(e: any) => void>>()
  #timers = new Map<string, unknown>()
  #info: ConnectionInfo = { state: 'idle', attempt: 0 }
  #position: Resume | null = null
  #skew = 0
  #next = '' // cursor of the home list
  #elsewhere = 0 // unread in conversations that are not loaded
  #paging: Promise<boolean> | null = null
  #wanted = false // connect was called
  #ended: TroupeError | null = null
  #mode: Events['storage']['mode'] = 'memory'
  #watching = new Map<string, Id[]>() // whose presence other tabs want
  #reading = false
  #unlisten: (() => void) | null = null
  #readies: { yes(): void; no(e: TroupeError): void }[] = []

  constructor(readonly o: ClientOptions) {
    this.env = environment(o)
    this.bell = new Bell(e => this.emit('error', failure(e, 'INTERNAL')))
    this.tokens = new Tokens(o.getToken, this.env.clock, token => isFor(token, o.app) ? import('./trade.js').then(m => m.trade(this, token)) : null)
    this.rest = new Rest(this.env, this.tokens)
    this.myId = o.userId ?? ''
    this.connection = new Cell<ConnectionInfo>(this.bell, this.#info)
    this.people = new People(this)
    this.friends = new Friends(this)
    this.presence = new Attendance(this)
    this.out = new Outbox(this)
    this.uploads = new Store(this)
    this.self = new Cell<User | null>(this.bell, undefined, () => this.me)
    this.unread = new Cell<Unread>(this.bell, undefined, () => this.#count())
    this.hasMore = new Cell(this.bell, false)
    this.outbox = new Cell<readonly Message[]>(this.bell, undefined, () => this.out.all.filter(s => s.state !== 'sent').map(s => this.convo(s.conversation).waiting(s)))
    this.#wire = new Wire(this.env, o, this.tokens, () => this.device, {
      info: i => this.#connected(i),
      welcome: f => { this.share({ t: 'welcome', f }); this.#welcome(f) },
      settled: missed => { this.share({ t: 'settled', missed }); this.#settled(missed) },
      frame: f => { this.share({ t: 'frame', f }); this.frame(f) },
    })
    if (this.myId) void this.#open()
  }

  // --- what is told and kept

  get state(): Connection { return this.#info.state }
  get online(): boolean { return this.#info.state === 'online' || this.#info.state === 'syncing' }
  get me(): User | null { return this.myId ? this.people.user(this.myId) : null }
  get serverNow(): number { return this.env.clock.now() + this.#skew }
  get contacts(): Friends { return this.friends }
  get users(): People { return this.people }
  get files(): Store { return this.uploads }
  get conversations(): Conversations { return this }
  /** The client has ended. */
  get over(): boolean { return !!this.#ended }
  /** This tab does what is done once for all tabs. */
  get leads(): boolean { return !this.#tabs || this.#tabs.leads }

  on<K extends keyof Events>(kind: K, f: (e: Events[K]) => void): () => void {
    const set = this.#listeners.get(kind) ?? new Set()
    this.#listeners.set(kind, set)
    const mine = (e: Events[K]): void => f(e)
    set.add(mine)
    return () => { set.delete(mine) }
  }

  emit<K extends keyof Events>(kind: K, e: Events[K]): void {
    for (const f of [...(this.#listeners.get(kind) ?? [])]) {
      try {
        f(e)
      } catch (x) {
        this.o.log?.warn?.('a listener threw', { kind, error: x })
        if (kind !== 'error') this.emit('error', failure(x, 'INTERNAL'))
      }
    }
  }

  /** Does f once after ms, the newest f, or (first) the one that was asked for first. */
  later(key: string, ms: number, f: () => void, first = false): void {
    if (first && this.#timers.has(key)) return
    this.env.clock.clearTimeout(this.#timers.get(key))
    this.#timers.set(key, this.env.clock.setTimeout(() => { this.#timers.delete(key); f() }, ms))
  }

  keep(table: Table, key: string, make: () => unknown, always = false): void { if (always || this.leads) this.#keeper?.put(table, key, make) }
  keepDrop(table: Table, key: string): void { this.#keeper?.drop(table, key) }
  keepDropRange(table: Table, from: string, to: string): void { if (this.leads) this.#keeper?.dropRange(table, from, to) }
  /** Waits until what is stored was read, if that is under way. */
  async opened(): Promise<void> { await this.#opening }
  async kept(): Promise<void> { await this.#keeper?.flush() }
  async stored(table: Table, o: { from?: string; to?: string }): Promise<{ key: string; value: unknown }[]> {
    try {
      await this.kept()
      return (await this.#keeper?.storage.list(table, o)) ?? []
    } catch { return [] }
  }

  ask: Ask = (type, fields, patience) => {
    if (this.#ended) return Promise.reject(this.#ended)
    if (!this.online) return Promise.reject(new TroupeError('OFFLINE', 'not connected'))
    return this.leads ? this.#wire.request(type, fields, patience) : this.#tabs!.ask(type, fields)
  }

  share(m: Said): void {
    // Where each tab has a socket, each hears by itself what the server says.
    if (this.#tabs?.shared || !['frame', 'state', 'welcome', 'settled', 'mind'].includes(m.t)) this.#tabs?.say(m)
  }

  /** An entry that this side's own request has made: the server tells it to the others only. */
  echo(e: Entry): void {
    const f = { type: 'msg_push', ...e } as unknown as Any
    this.frame(f)
    this.share({ t: 'frame', f })
  }

  // --- life

  connect(): void {
    if (this.#ended?.code === 'CLOSED') return
    this.#ended = null
    this.#wanted = true
    this.#unlisten ??= this.env.net.subscribe(what => {
      if (what === 'hide') { this.#tabs?.part(); void this.#yield() }
      else if (what === 'wake' && this.#wanted) this.#tabs?.join()
    })
    if (!this.#opening) this.device = this.o.device?.id ?? newId(this.env.clock)
    void (this.#opening ?? Promise.resolve()).then(() => {
      if (!this.#wanted) return
      if (this.#tabs) this.#tabs.join()
      else this.#wire.start()
    })
  }

  disconnect(): void {
    this.#wanted = false
    this.#unlisten?.()
    this.#unlisten = null
    this.#tabs?.part()
    this.#wire.stop()
    this.#connected({ state: 'idle', attempt: 0 })
  }

  retryNow(): void {
    if (this.leads) this.#wire.wake()
    void this.out.flush()
  }

  ready(): Promise<void> {
    if (this.#info.state === 'online') return Promise.resolve()
    if (this.#ended) return Promise.reject(this.#ended)
    return new Promise((yes, no) => { this.#readies.push({ yes, no }) })
  }

  async destroy(o: { wipe?: boolean } = {}): Promise<void> {
    if (o.wipe) this.share({ t: 'wiped' })
    await this.#destroy(o.wipe)
  }

  async #destroy(wipe?: boolean): Promise<void> {
    if (this.#ended?.code === 'CLOSED') return
    const end = new TroupeError('CLOSED', 'the client was destroyed')
    this.disconnect()
    this.#ended = end
    const out = wipe ? this.tokens.signOut() : undefined
    this.tokens.end()
    this.out.stop()
    for (const t of this.#timers.values()) this.env.clock.clearTimeout(t)
    this.#timers.clear()
    for (const r of this.#readies.splice(0)) r.no(end)
    this.#connected({ state: 'closed', attempt: 0, error: end })
    await this.#opening
    const k = this.#keeper
    if (k) {
      if (wipe) k.closed = true
      try {
        await k.flush()
        await this.#yield()
        if (wipe) await k.storage.wipe()
      } catch { /* it is gone already */ }
      k.closed = true
      k.storage.close()
    }
    this.#tabs?.close()
    await out?.catch(() => {}) // the server ends it by itself
  }

  /** Opens what is stored of this user, and finds the user's other tabs. */
  #open(): Promise<void> {
    return (this.#opening ??= (async () => {
      const name = 'troupe:' + (this.o.app ?? '') + ':' + this.myId
      const broken = (e: TroupeError): void => { this.#mode = 'memory'; this.emit('storage', { mode: 'memory', error: e }) }
      const storage = await this.#storage(name, broken)
      this.#keeper = new Keeper(storage, broken)
      this.out.keepAll()
      await this.#restore()
      this.#tabs = new (await import('./tabs.js')).Tabs(name, this.o.tabs, !!this.o.userId, (m, from) => this.#heard(m, from), on => this.#lead(on))
      if (!this.#tabs.shared && !this.#wanted) this.#tabs.leads = true
    })())
  }

  async #storage(name: string, broken: (e: TroupeError) => void): Promise<StorageAdapter> {
    const { storage } = this.o
    if (typeof storage === 'object') {
      this.#mode = 'custom'
      return storage
    }
    if (storage !== 'memory' && (globalThis as { indexedDB?: unknown }).indexedDB) {
      try {
        const s = await (await import('./indexed.js')).IndexedStorage.open(name, broken)
        this.#mode = 'indexeddb'
        this.emit('storage', { mode: 'indexeddb' })
        return s
      } catch (e) {
        broken(failure(e, 'STORAGE'))
      }
    } else this.emit('storage', { mode: 'memory' })
    return new MemoryStorage()
  }

  async #restore(): Promise<void> {
    const [meta, rows, users] = await Promise.all([this.stored('meta', {}), this.stored('conversations', {}), this.stored('users', {})])
    const of = new Map(meta.map(r => [r.key, r.value as any]))
    this.device = this.o.device?.id ?? of.get('device') ?? newId(this.env.clock)
    this.keep('meta', 'device', () => this.device, true)
    if (of.get('contacts')) this.friends.restore(of.get('contacts'))
    this.people.take(users.map(r => r.value as Profile), false)
    for (const { key, value } of rows) {
      const row = value as Row
      if (row.h) this.convo(key).restore(row)
    }
    if (of.get('home') && !this.#position) this.#elsewhere = of.get('home').elsewhere
    this.#position ??= of.get('cursor') ?? null
    await this.out.reload()
    for (const c of this.#convos.values()) for (const l of c.lines) l.resume() // of those made before this was read
    this.self.touch()
    this.listChanged()
    this.unreadChanged()
    this.#evict()
  }

  /** Lets go of the conversations that were quiet for the longest time. */
  #evict(): void {
    const { conversations = 200, messages = 500 } = this.o.cache ?? {}
    const all = this.known().sort((a, b) => b.h!.updatedAt - a.h!.updatedAt)
    let evicted = 0
    for (const c of all.slice(conversations)) {
      if (c.lines.size || this.out.of(c.id).length || c.draft.value) continue
      evicted++
      this.keepDrop('conversations', c.id)
      this.keepDropRange('entries', seqKey(c.id, 0), seqKey(c.id, 2 ** 53 - 1))
    }
    for (const c of all) c.trim(messages)
    if (evicted) this.emit('storage', { mode: this.#mode, evicted })
  }

  trim(c: Convo): void { c.trim(this.o.cache?.messages ?? 500) }

  // --- the connection

  #connected(i: ConnectionInfo): void {
    if (this.#ended?.code === 'CLOSED' && i.state !== 'closed') return
    this.#info = i
    this.connection.set(i)
    this.emit('connection', i)
    if (this.leads) this.share({ t: 'state', info: i, me: this.myId, skew: this.#skew, position: this.#position })
    if (i.state === 'closed' && i.error && i.error.code !== 'CLOSED') {
      this.#ended = i.error
      this.emit('kicked', { code: i.error.code, reason: i.error.message })
      for (const r of this.#readies.splice(0)) r.no(i.error)
    }
    if (i.state === 'online') this.#isOnline()
    else if (!this.online) {
      this.out.interrupted()
      if (!this.leads) this.#tabs?.lost()
    }
  }

  #isOnline(): void {
    for (const r of this.#readies.splice(0)) r.yes()
    for (const c of this.#convos.values()) {
      for (const l of c.lines) l.resume()
      if (c.lines.size || c.drafts?.some) c.lookForDrafts()
      if (c.seen < c.known && (c.lines.size || !c.seg)) void c.repair()
      if (c.readUntold) this.marks.add(c)
      if (this.leads) c.tellReceived()
    }
    void this.#tellMarks()
    void this.people.ask()
    void this.presence.watch(true)
    void this.out.flush()
    this.out.sender().catch(() => {})
    this.later('acts', 3000, ahead, true)
  }

  #welcome(f: AuthReply & Base): void {
    if (this.myId && this.myId !== f.userId) {
      this.#wire.stop('closed', new TroupeError('UNAUTHORIZED', 'the token is another user\'s'))
      return
    }
    this.#skew = f.serverTime - this.env.clock.now()
    if (!this.myId) {
      this.myId = f.userId
      void this.#open().then(() => {
        this.#tabs!.leads = true
        for (const c of this.known()) c.save()
        this.#saveCursor()
        void this.out.flush()
      })
    }
    this.#position = { epoch: f.epoch, offset: f.offset ?? 0 }
    if (f.snapshot) this.#snapshot(f.snapshot)
    this.#saveCursor()
    this.people.get(this.myId)
    this.self.touch()
  }

  #settled(missed: number): void {
    const limited = this.known().filter(c => !c.seg || c.seg.high < c.head).map(c => c.id)
    this.emit('synced', { mode: this.#fresh ? 'snapshot' : 'resumed', missed, limited: this.#fresh ? limited : [] })
    this.#fresh = false
  }
  #fresh = false

  #saveCursor(): void {
    this.keep('meta', 'cursor', () => this.#position && { ...this.#position })
    this.keep('meta', 'home', () => ({ elsewhere: this.#elsewhere }))
  }

  #snapshot(s: Snapshot): void {
    this.#fresh = true
    const seen = new Set<Id>()
    this.people.take(s.users)
    this.friends.snapshot(s.requests ?? [])
    void Promise.resolve().then(() => this.friends.heard(s.contactsVersion ?? 0))
    this.#rows(s, seen)
    void this.#rest(seen)
  }

  #rows(s: SessionListReply, seen: Set<Id>): void {
    for (const h of s.sessions ?? []) {
      seen.add(h.session)
      this.convo(h.session).adopt(h)
    }
    this.#next = s.next ?? ''
    this.hasMore.set(!!this.#next)
    let here = 0
    for (const id of seen) here += this.#convos.get(id)?.h?.unread ?? 0
    this.#elsewhere = this.#next ? Math.max(0, (s.unreadTotal ?? 0) - here) : 0
    this.listChanged()
    this.unreadChanged()
  }

  /** Rows that were known before are read again; those that are nowhere any more are gone. */
  async #rest(seen: Set<Id>, known = this.known().map(c => c.id)): Promise<void> {
    const before = known.filter(id => !seen.has(id))
    let left = before.length
    try {
      while (this.#next && left > 0) {
        const f = await this.ask('session_list', { cursor: this.#next, limit: listPage })
        this.people.take(f.users)
        this.#rows(f, seen)
        left = before.filter(id => !seen.has(id)).length
      }
    } catch { return }
    if (!this.#next) for (const id of before) if (!seen.has(id)) this.remove(id)
  }

  /** A tab that hears of the connection for the first time reads where things stand. */
  async #catchUp(): Promise<void> {
    const before = this.known().map(c => c.id) // what comes meanwhile is newer than the list
    try {
      const [list, asked] = await Promise.all([this.ask('session_list', { limit: listPage }), this.ask('request_list', { waiting: true, limit: 100 })])
      this.people.take(list.users)
      this.friends.snapshot(asked.requests ?? [])
      const seen = new Set<Id>()
      this.#rows(list, seen)
      await this.#rest(seen, before)
      await this.friends.heard(-2)
    } catch { /* the connection broke: the next one tells */ }
  }

  /** A frame that the server sent unasked, in this tab or the one that leads. */
  frame(f: Any): void {
    try {
      if (f.offset && this.#position && f.offset > this.#position.offset) this.#position.offset = f.offset
      this.#frame(f)
      if (f.offset) this.#saveCursor()
    } catch (e) {
      this.emit('error', failure(e, 'INTERNAL'))
    }
  }

  #frame(f: Any): void {
    const c = f['session'] ? this.#convos.get(f['session']) : undefined
    switch (f.type) {
      case 'msg_push':
        if (c?.known_) c.take(f as unknown as Entry)
        else this.later('list', 150, () => void this.refresh(), true)
        break
      case 'session_update':
        if (f['gone']) this.remove(f['session'])
        else if (f['head']) this.adopt(f['head'])
        break
      case 'unread': c?.unread(f['readSeq'], f['unread']); break
      case 'receipt': c?.receipt(f['userId'], f['readSeq'], f['recvSeq']); break
      case 'msg_editing_reply': c?.isTyping(f['userId']); break
      case 'msg_stream': c?.drafted(d => d.take(f as any)); break
      case 'msg_whisper': c?.drafted(d => d.whisper(f as any)); break
      case 'heartbeat_reply':
        for (const [id, head] of Object.entries((f['heads'] ?? {}) as Record<string, number>)) {
          const w = this.#convos.get(id)
          if (w?.known_ && head > w.known) w.mind(head)
        }
        break
      case 'presence': this.presence.take(f as any); break
      case 'user_update': this.people.take([f['profile']]); break
      case 'request_update': this.friends.heardRequest(f['request']); break
      case 'contact_update': this.friends.take(f['contact'], f['gone'], f['contactsVersion']); break
      case 'call': this.emit('call', tidy({ conversation: f['session'], call: f['call'], state: f['state'], user: f['userId'] })); break
      case 'notice': this.emit('notice', { text: f['text'], level: f['level'] ?? 'info' }); break
      case 'error': this.emit('error', new TroupeError((f.code ?? 'INTERNAL') as TroupeError['code'], f.error)); break
    }
  }

  adopt(h: SessionHead): void {
    const c = this.convo(h.session)
    const fresh = !c.known_
    c.adopt(h)
    if (!fresh) return
    this.emit('conversation', { id: h.session, gone: false })
    if (h.last) void c.tellReceived()
    for (const l of c.lines) l.resume()
  }

  /** Something came of a conversation that is not known: the top of the list is read. */
  async refresh(): Promise<void> {
    try {
      const f = await this.ask('session_list', { limit: listPage })
      this.people.take(f.users)
      for (const h of f.sessions ?? []) this.adopt(h)
      this.unreadChanged()
    } catch { /* the next snapshot tells */ }
  }

  // --- other tabs

  #lead(on: boolean): void {
    if (!on) return this.#wire.stop()
    this.#tabs?.lost()
    this.#wire.position ??= this.#position
    if (this.#position && this.#wire.position!.epoch === this.#position.epoch) this.#wire.position = { ...this.#position }
    void this.out.reload().then(() => {
      if (this.#wanted && this.leads) this.#wire.start()
    })
  }

  #heard(m: Said, from: string): void {
    const leads = this.leads
    switch (m.t) {
      case 'hi': if (leads && this.#tabs?.shared) this.share({ t: 'state', info: this.#info, me: this.myId, skew: this.#skew, position: this.#position && { ...this.#position } }); break
      case 'ask': if (leads && this.#tabs?.shared) void this.#tabs.answer(from, m.n, this.#askFor(m.type, m.fields)); break
      case 'out': this.out.heard(m.item); break
      case 'unsent': this.out.forget(m.id, true); break
      case 'flush': if (leads) void this.out.flush(); break
      case 'read': this.#convos.get(m.id)?.readElsewhere(m.seq); break
      case 'mind': this.#convos.get(m.id)?.mind(m.seq); break
      case 'draft': this.#convos.get(m.id)?.setDraft(m.text, true); break
      case 'wiped': void this.#destroy(true); break
      case 'watch':
        this.#watching.set(from, m.users)
        if (leads) void this.presence.watch()
        break
      case 'frame': if (!leads) this.frame(m.f); else if (m.f.type === 'msg_push' && !m.f.offset) this.frame(m.f); break
      case 'welcome': if (!leads) this.#welcome(m.f); break
      case 'settled': if (!leads) this.#settled(m.missed); break
      case 'state': if (!leads && this.#wanted) this.#leaderIs(m); break
    }
  }

  #caught = false
  #leaderIs(m: Extract<Said, { t: 'state' }>): void {
    this.#skew = m.skew
    const info = m.info.error ? { ...m.info, error: failure(m.info.error) } : m.info
    const was = this.online
    if (m.position && this.#position?.epoch !== m.position.epoch) this.#position = m.position
    this.#connected(info.state === 'idle' ? { state: 'waiting', attempt: 0 } : info)
    if (!was && this.online && !this.#caught) {
      this.#caught = true
      if (m.position) this.#position = m.position
      void this.#catchUp()
    }
  }

  #askFor(type: string, fields: object): Promise<unknown> { return this.ask(type as 'heartbeat', fields) }

  /** Whose presence any of the tabs wants. */
  get watched(): Id[] { return [...new Set([...this.presence.watched, ...[...this.#watching.values()].flat()])].slice(0, 500) }

  /** Whether this tab may send what waits: the one that leads, or without locks the one with the lease. */
  async mayFlush(): Promise<boolean> {
    if (!this.leads) return false
    if (!this.#keeper || !this.#tabs || this.#tabs.shared || this.#mode === 'memory') return true
    const me = this.#tabs.id, now = this.env.clock.now()
    let had = false
    try {
      const v = (await this.#keeper.storage.update('meta', 'lease', v => {
        const l = v as { by: string; until: number } | undefined
        had = l?.by === me
        return !l || l.by === me || l.until < now ? { by: me, until: now + leaseFor } : l
      })) as { by: string }
      if (v.by === me && !had) await this.out.reload() // what another tab has left
      return v.by === me
    } catch { return true }
  }

  /** Gives the lease back, so that the next tab need not wait for its end. */
  async #yield(): Promise<void> {
    const me = this.#tabs?.id
    if (!me || this.#tabs?.shared) return
    await this.#keeper?.storage.update('meta', 'lease', v => ((v as { by: string } | undefined)?.by === me ? undefined : v)).catch(() => {})
  }

  // --- conversations

  convo(id: Id): Convo {
    let c = this.#convos.get(id)
    if (!c) this.#convos.set(id, (c = new Convo(this, id)))
    return c
  }

  get(id: Id): Conversation { return this.convo(id) }
  known(): Convo[] { return [...this.#convos.values()].filter(c => c.known_) }

  remove(id: Id): void {
    const c = this.#convos.get(id)
    if (!c?.known_) return
    c.leaveBehind()
    for (const s of this.out.of(id)) if (s.state !== 'failed') this.out.forget(s.clientId)
    this.emit('conversation', { id, gone: true })
    this.unreadChanged()
  }

  list(o: { folder?: Folder } = {}): Cell<readonly ConversationView[]> {
    const folder = o.folder ?? 'all'
    let cell = this.#lists.get(folder)
    if (!cell) this.#lists.set(folder, (cell = new Cell<readonly ConversationView[]>(this.bell, undefined, old => this.#list(folder, old))))
    return cell
  }

  #list(folder: Folder, old?: readonly ConversationView[]): readonly ConversationView[] {
    const in_: Record<Folder, (v: ConversationView) => boolean> = {
      all: () => true, unread: v => v.unread > 0, people: v => v.kind === 'p2p', groups: v => v.kind === 'group' || v.kind === 'muc', system: v => v.kind === 'system',
    }
    const all = this.known().map(c => c.view.value!).filter(v => v && in_[folder](v))
      .sort((a, b) => Number(b.pinned) - Number(a.pinned) || b.at - a.at || (a.id < b.id ? -1 : 1))
    return old && old.length === all.length && all.every((v, i) => v === old[i]) ? old : all
  }

  listChanged(): void { for (const l of this.#lists.values()) l.touch() }

  #count(): Unread {
    const items: Record<Id, number> = {}
    let total = this.#elsewhere
    for (const c of this.known()) {
      const n = c.h!.unread
      if (!n) continue
      items[c.id] = n
      if (!c.h!.muted) total += n
    }
    return { total, items }
  }

  unreadChanged(): void {
    this.unread.touch()
    this.later('unread', 0, () => this.emit('unread', this.unread.value), true)
    if (this.marks.size) void this.#tellMarks()
  }

  outboxChanged(): void { this.outbox.touch() }

  /** A profile or a remark is another one: whatever shows it is made anew. */
  userChanged(id: Id): void {
    for (const c of this.#convos.values()) {
      if (c.peer === id) c.view.touch()
      c.people.touch()
    }
    if (id === this.myId) this.self.touch()
    this.friends.touch()
    this.listChanged()
  }

  async #tellMarks(): Promise<void> {
    if (this.#reading || !this.online) return
    this.#reading = true
    try {
      while (this.marks.size && this.online) {
        const [c] = this.marks
        this.marks.delete(c!)
        void c!.tellRead()
        await new Promise<void>(yes => { this.later('marks', readEvery, yes) })
      }
    } finally {
      this.#reading = false
    }
  }

  more(): Promise<boolean> {
    return (this.#paging ??= (async () => {
      if (!this.#next) return false
      const f = await this.ask('session_list', { cursor: this.#next, limit: listPage })
      this.people.take(f.users)
      this.#rows(f, new Set(this.known().map(c => c.id)))
      return (f.sessions ?? []).length > 0
    })().finally(() => { this.#paging = null }))
  }

  open(t: { user: Id } | NewGroup): Promise<Conversation> { return a.open(this, t) }
  join(by: { id: Id } | { code: string }): Promise<Conversation> { return a.join(this, by) }
  preview(code: string): Promise<LinkPreview> { return a.preview(this, code) }
  search(q: string, o: SearchOptions = {}): Promise<Page<Hit>> { return a.search(this, q, o) }
  linkPreview(url: string): Promise<LinkCard> { return a.linkPreview(this, url) }

  /** A path of the server as a link. */
  link(path: string): string { return path.startsWith('/') ? new URL(path, this.rest.base).href : path }

  readonly push: Push = {
    register: t => a.push(this, t),
    remove: () => a.push(this),
  }
}

export type { StorageChange }
