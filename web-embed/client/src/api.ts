/**
 * What @troupe/client gives: every type and interface, and nothing that runs.
 *
 * A conversation is what the wire calls a session. Ids are opaque strings, times are Unix
 * milliseconds, a seq counts the entries of one conversation's log from 1. Lists and objects
 * that are handed out are never changed afterwards: what is new is a new object, so that
 * `===` tells whether something has changed.
 */

import type { Code as WireCode, JoinPolicy, InvitePolicy, Role } from './wire-types.js'

export type { JoinPolicy, InvitePolicy, Role }

export type Id = string
export type Seq = number
/** Anything that JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined }

/**
 * A value that changes. `subscribe` calls `f` with the value at once, and whenever there is
 * another one, at most once per turn of the event loop; it gives the way to stop. This is
 * Svelte's contract of a store; for React: `useSyncExternalStore(l.subscribe, () => l.value)`.
 */
export interface Live<T> {
  readonly value: T
  subscribe(f: (value: T) => void): () => void
}

/** A part of a list; without `next` it is the last one. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly next?: string
}

// ------------------------------------------------------------------ making a client

/**
 * Where the server is: `https://im.example.com` (or http). WebSocket and REST are found from
 * there. Where they are elsewhere, they can be said each.
 */
export type Endpoint = string | { ws: string; rest: string }

export interface ClientOptions {
  /** One server, or several that are tried in turn. In a page the default is its own origin. */
  endpoint?: Endpoint | readonly Endpoint[]
  /** The application's id (docs/identity.md): who signs its tokens is taken. It separates what is stored of several on one page. */
  app?: string
  /**
   * Who will be signed in, where that is known: then what is stored is shown before the
   * server was reached. Another user in the token is refused (`UNAUTHORIZED`).
   */
  userId?: Id
  /**
   * Gives an access token, or one that a back end signed for `app`, which is traded for a login
   * that renews itself. `reason` says what for. It is asked only when one is needed, and once for all who need it. An error with the code `UNAUTHORIZED` ends the client; any
   * other is tried again later.
   */
  getToken(why: TokenRequest): Promise<string>
  device?: DeviceOptions
  /** `indexeddb` (the default, where there is one) or `memory`, or one's own. */
  storage?: 'indexeddb' | 'memory' | StorageAdapter
  /** How much is kept: 200 conversations of 500 messages when not said. */
  cache?: { conversations?: number; messages?: number }
  /** Between attempts to connect: full jitter from 500 ms, growing to 20 s. */
  reconnect?: { minMs?: number; maxMs?: number }
  /** What waits to be sent: 24 hours, 8 at a time. */
  outbox?: { ttlMs?: number; inFlight?: number }
  uploader?: Uploader
  /** `false`: this client shares nothing with others, even where it could. */
  tabs?: false | TabOptions
  WebSocket?: WebSocketConstructor
  fetch?: typeof globalThis.fetch
  net?: NetSource
  clock?: Clock
  log?: Logger
}

export interface TokenRequest {
  /** `rejected`: the server did not take the one it was given. */
  readonly reason: 'initial' | 'expiring' | 'rejected'
  readonly signal: AbortSignal
}

export interface DeviceOptions {
  /** The same at each start; made and stored when not said. */
  id?: string
  /** Told to the server as `platform`; others see with what a message was written. */
  kind?: 'web' | 'ios' | 'android' | 'mini' | 'desktop' | 'other'
  /** The application's own version. */
  version?: string
}

/** What several tabs of one user need to share one socket; in a page it is found by itself. */
export interface TabOptions {
  locks?: LocksLike
  BroadcastChannel?: new (name: string) => ChannelLike
}
export interface LocksLike {
  request(name: string, options: { signal?: AbortSignal; ifAvailable?: boolean }, work: (lock: unknown) => Promise<unknown>): Promise<unknown>
}
export interface ChannelLike {
  postMessage(message: unknown): void
  close(): void
  onmessage: ((event: { data: unknown }) => void) | null
}

export interface WebSocketLike {
  readonly readyState: number
  send(data: string): void
  close(code?: number, reason?: string): void
  onopen: ((event: unknown) => void) | null
  onmessage: ((event: { data: unknown }) => void) | null
  onclose: ((event: { code: number; reason: string }) => void) | null
  onerror: ((event: unknown) => void) | null
}
export type WebSocketConstructor = new (url: string) => WebSocketLike

/** Whether there is a network, and whether somebody looks. In a page it is found by itself. */
export interface NetSource {
  readonly online: boolean
  readonly visible: boolean
  /** `wake`: something may have changed for the better, so look at the connection now; `hide`: the page goes. */
  subscribe(f: (what: 'online' | 'offline' | 'wake' | 'hide') => void): () => void
}

export interface Clock {
  now(): number
  setTimeout(f: () => void, ms: number): unknown
  clearTimeout(timer: unknown): void
  /** From 0 to 1, as Math.random. */
  random(): number
}

export interface Logger {
  debug?(text: string, about?: object): void
  warn?(text: string, about?: object): void
}

/**
 * Where things are kept: tables of rows by key. `write` does all or nothing. Rows are what
 * structuredClone takes, Blobs among them.
 */
export interface StorageAdapter {
  get(table: Table, key: string): Promise<unknown>
  /** Rows whose key lies from `from` up to `to` (both included), in order; `reverse`: from the end. */
  list(table: Table, o?: { from?: string; to?: string; limit?: number; reverse?: boolean }): Promise<Array<{ key: string; value: unknown }>>
  write(changes: readonly StorageChange[]): Promise<void>
  /** Does `f` with the row's value and keeps what it gives, with nobody between. */
  update(table: Table, key: string, f: (value: unknown) => unknown): Promise<unknown>
  wipe(): Promise<void>
  close(): void
}
export type Table = 'meta' | 'conversations' | 'entries' | 'users' | 'outbox'
export type StorageChange =
  | { table: Table; key: string; value: unknown }
  | { table: Table; key: string; remove: true }
  | { table: Table; from: string; to: string; remove: true }

/** Makes a client. It does nothing before `connect`. */
export type CreateClient = (o: ClientOptions) => TroupeClient

// ------------------------------------------------------------------ the client

/**
 * `connecting` until the socket is open and signed in, `syncing` until what was missed has
 * been taken in, `waiting` until `retryAt`, `offline` while there is no network, `closed` for
 * good (see Events.connection's error).
 */
export type Connection = 'idle' | 'connecting' | 'syncing' | 'online' | 'waiting' | 'offline' | 'closed'

export interface ConnectionInfo {
  readonly state: Connection
  /** With `waiting`: when the next attempt is. */
  readonly retryAt?: number
  /** Attempts since it was last online. */
  readonly attempt: number
  /** Why it is not online, or is closed. */
  readonly error?: TroupeError
}

export interface TroupeClient {
  readonly state: Connection
  readonly connection: Live<ConnectionInfo>
  /** Who is signed in; null before that is known. */
  readonly me: User | null
  /** One's own profile as it changes. */
  readonly self: Live<User | null>
  /** The server's time as this client knows it. */
  readonly serverNow: number
  /** Makes the connection and keeps it up. */
  connect(): void
  /** Ends the connection; what is stored stays, and what was written waits. */
  disconnect(): void
  /** Dials at once when it is waiting, looks for a sign of life when it is online. */
  retryNow(): void
  /** Waits until it is online for the first time. Fails when it is closed for good before. */
  ready(): Promise<void>
  /** Ends the client. `wipe` removes what is stored and ends the user's other tabs: for signing out. */
  destroy(o?: { wipe?: boolean }): Promise<void>
  /** Listens to one kind of event. A listener that throws is told to `error` and harms nobody. */
  on<K extends keyof Events>(kind: K, f: (event: Events[K]) => void): () => void

  readonly conversations: Conversations
  readonly contacts: Contacts
  readonly users: Users
  readonly presence: Presences
  readonly files: Files
  readonly push: Push
  /** Messages that hold the words, newest first; `in` keeps to one conversation. */
  search(q: string, o?: SearchOptions): Promise<Page<Hit>>
  /** What a page behind a link says of itself, as the server read it. `NOT_FOUND`: nothing. */
  linkPreview(url: string): Promise<LinkCard>
  /** What waits to be sent, in all conversations, the oldest first. */
  readonly outbox: Live<readonly Message[]>
}

export interface Conversations {
  /** The home list: pinned ones first, then by activity. The same object for the same folder. */
  list(o?: { folder?: Folder }): Live<readonly ConversationView[]>
  /** Loads the list's next page; false: there was none. */
  more(): Promise<boolean>
  /** True while the list may have more. */
  readonly hasMore: Live<boolean>
  /** The conversation with this id, known or not. The same object for the same id. */
  get(id: Id): Conversation
  /** The conversation with a person (made if there is none), or a new group. */
  open(with_: { user: Id } | NewGroup): Promise<Conversation>
  /** Unread messages: `total` of those that are not muted. */
  readonly unread: Live<Unread>
  /** Goes into a group that is open to all, or where the code of a link leads. */
  join(by: { id: Id } | { code: string }): Promise<Conversation>
  /** Where a link leads, before one joins. `EXPIRED`, `NOT_FOUND`. */
  preview(code: string): Promise<LinkPreview>
}

export type Folder = 'all' | 'unread' | 'people' | 'groups' | 'system'

export interface NewGroup {
  members: readonly Id[]
  title?: string
  avatar?: string
  joinPolicy?: JoinPolicy
  invitePolicy?: InvitePolicy
  readOnly?: boolean
  /** `joined`: members read from their joining on. */
  history?: 'all' | 'joined'
  /** A consultation rather than a group. */
  muc?: boolean
}

export type ConversationKind = 'p2p' | 'group' | 'muc' | 'system'

export interface ConversationView {
  readonly id: Id
  readonly kind: ConversationKind
  /** The name that was given, or the other person's: their remark, else nickname. May be empty. */
  readonly title: string
  /** For `<img>`. */
  readonly avatar?: string
  /** p2p: the other person. */
  readonly peer?: User
  /** The newest message, its texts cut to what a list shows; a message that waits is not among them. */
  readonly last: Message | null
  /** The newest of what waits or has failed here, where it is newer than `last`. */
  readonly waiting: Message | null
  /** What waits or has failed here, by number. */
  readonly pending: number
  readonly failed: number
  readonly at: number
  readonly unread: number
  /** An unread message mentions oneself or everybody. */
  readonly mentioned: boolean
  readonly readSeq: Seq
  readonly headSeq: Seq
  readonly pinned: boolean
  readonly muted: boolean
  readonly draft: string
  /** Who is typing now, oneself never. */
  readonly typing: readonly Id[]
  readonly memberCount: number
  /** One's own role. */
  readonly role: Role
  /** Whether one may write now, and if not, why. */
  readonly canWrite: boolean
  readonly whyNot?: 'silenced' | 'silenced-all' | 'read-only' | 'system' | 'left'
  /** Until when one is silenced. */
  readonly silencedUntil?: number
  readonly silenceAll: boolean
  readonly readOnly: boolean
  /** One is not in it any more, or it was dissolved. */
  readonly gone: boolean
  /** The application's own number for what it is about. */
  readonly businessType?: number
}

/** `items` has those conversations with something unread that are known. */
export interface Unread {
  readonly total: number
  readonly items: Readonly<Record<Id, number>>
}

// ------------------------------------------------------------------ a conversation

export interface Conversation {
  readonly id: Id
  /** Null until something is known of it. */
  readonly view: Live<ConversationView | null>
  /** All that may be known of it besides: announcement, policies, owner. Read when first asked for. */
  readonly info: Live<ConversationInfo | null>
  /** A window onto its messages. Each call makes another; `dispose` it when it isn't shown any more. */
  timeline(o?: { at?: Seq | 'unread' | 'latest'; page?: number }): Timeline
  /** Sends. It returns at once and never throws for the network: see Outgoing. */
  send(draft: Draft, o?: SendOptions): Outgoing
  /** The handle of a message that waits or has failed, also of an earlier start; null: it doesn't any more. */
  outgoing(clientId: string): Outgoing | null
  /** A message by its id, from what is stored or from the server. */
  message(id: Id): Promise<Message>
  edit(id: Id, draft: Draft): Promise<void>
  /** Takes a message back, for everybody. */
  revoke(id: Id): Promise<void>
  react(id: Id, emoji: string, on: boolean): Promise<void>
  /** Sends messages of this conversation on to others; `merged`: as one message with all of them. */
  forward(ids: readonly Id[], to: readonly Id[], o?: { merged?: boolean; note?: string }): Outgoing[]
  /** Says that one has read up to `upTo`, or everything. Calls may come often: three a second go out. */
  markRead(upTo?: Seq): void
  /** Says that one is typing (or no longer). Calls may come at each key. */
  typing(on?: boolean): void
  readonly draft: Live<string>
  setDraft(text: string): void
  /** Pins or mutes for oneself. */
  update(what: { pinned?: boolean; muted?: boolean }): Promise<void>
  /** Changes what the group is for everybody. */
  configure(what: GroupSettings): Promise<void>
  readonly members: Members
  readonly links: Links
  /** What moderation holds back: for owner and admins. */
  readonly review: Review
  /** Closes a whisper: it is nowhere then. */
  dismiss(id: Id): void
  /** Who has read a message, and who has got it, oneself left out. Empty in large groups. */
  readers(id: Id): Live<Readers>
  leave(): Promise<void>
  /** Ends the group for all. */
  dissolve(): Promise<void>
  /** Answers an invitation to a call. */
  answerCall(id: Id, answer: 'accept' | 'refuse'): Promise<void>
  readonly bot: BotActions
}

export interface SendOptions {
  /** One's own id for it, at most 128 bytes; sending the same again is safe. A UUIDv7 when not said. */
  clientId?: string
  replyTo?: Id
  /** Seconds after which it is gone. */
  expire?: number
}

export interface ConversationInfo {
  readonly id: Id
  readonly kind: ConversationKind
  readonly title: string
  readonly avatar?: string
  readonly creator: Id
  readonly owner?: Id
  readonly createdAt: number
  readonly announcement: string
  readonly announcedBy?: Id
  readonly announcedAt?: number
  readonly joinPolicy: JoinPolicy
  readonly invitePolicy: InvitePolicy
  readonly silenceAll: boolean
  readonly readOnly: boolean
  /** When it is dissolved by itself. */
  readonly until?: number
  readonly history: 'all' | 'joined'
  readonly memberCount: number
}

export interface GroupSettings {
  title?: string
  avatar?: string
  /** Empty: taken down. */
  announcement?: string
  joinPolicy?: JoinPolicy
  invitePolicy?: InvitePolicy
  silenceAll?: boolean
  readOnly?: boolean
  /** When it is to be dissolved; 0: it stays. */
  until?: number
}

export interface Member {
  readonly user: User
  readonly role: Role
  readonly inviter?: Id
  readonly joinedAt?: number
  readonly readSeq: Seq
  readonly receivedSeq: Seq
  /** May not write before; Infinity: until it is lifted. */
  readonly silencedUntil?: number
}

export interface Members {
  /** Those that are loaded, in order of joining; the first page is read when first asked for. */
  list(): Live<readonly Member[]>
  /** Loads the next page; false: there was none. */
  more(): Promise<boolean>
  get(user: Id): Promise<Member>
  /** Those whose name begins so, among the loaded ones: for mentions. */
  find(begin: string): readonly Member[]
  add(users: readonly Id[]): Promise<void>
  remove(users: readonly Id[]): Promise<void>
  setRole(users: readonly Id[], role: 'member' | 'admin'): Promise<void>
  /** Until a time; Infinity: until it is lifted; 0 lifts it. */
  silence(users: readonly Id[], until: number): Promise<void>
  /** Hands the group over. */
  transfer(to: Id): Promise<void>
  /** Invites one who has to agree (a GROUP request). */
  invite(user: Id, note?: string): Promise<GroupRequest>
  /** Those who ask to be let in, for the owner and admins. */
  requests(): Promise<Page<GroupRequest>>
}

export interface JoinLink {
  readonly id: Id
  readonly conversation: Id
  /** Only of a link that was just made: it cannot be read again. */
  readonly code?: string
  readonly by?: Id
  /** How many may come in by it; 0: any number. */
  readonly uses: number
  readonly used: number
  readonly createdAt: number
  /** 0: never. */
  readonly expiresAt: number
}
export interface Links {
  create(o?: { uses?: number; expiresInSeconds?: number }): Promise<JoinLink>
  list(cursor?: string): Promise<Page<JoinLink>>
  revoke(id: Id): Promise<void>
}
export interface LinkPreview {
  readonly conversation: Id
  readonly title: string
  readonly avatar?: string
  readonly memberCount: number
  readonly by?: Id
  readonly expiresAt: number
  /** One is in it already. */
  readonly member: boolean
}

/** What a moderator of a conversation does with messages that moderation changed or holds back. */
export interface Review {
  /** What waits, newest first, without what it says. */
  list(cursor?: string): Promise<Page<Message>>
  /** A message with what was first written in it. */
  original(id: Id): Promise<Message>
  /** Lets it stand as it was written, or lets nobody see it: its writer is told the reason, or the moderator's. */
  decide(id: Id, verdict: 'allow' | 'reject', reason?: string): Promise<void>
}

export interface Readers {
  readonly read: readonly User[]
  /** Have it, and have not read it. */
  readonly delivered: readonly User[]
  readonly rest: readonly User[]
}

/** What a bot's messages let one do. */
export interface BotActions {
  /** Asks that a reply under way ends: `id` is the draft's (Message.id). */
  stop(id: Id): Promise<void>
  /** What bots may be asked to do here by `/name`; asked for once, and again when members change. */
  commands(locale?: string): Promise<readonly Command[]>
  /** Asks for another reply in place of this one. */
  regenerate(id: Id): Outgoing
  /** Presses a card's button or sends its form. */
  submit(id: Id, action: string, values?: Json): Promise<void>
}

/** A command of a bot. */
export interface Command {
  readonly name: string
  /** Who serves it, and whether it answers now. */
  readonly bot: Id
  readonly online: boolean
  /** What is typed to call it, without the /: `name`, or `name@handle` where several bots have one of that name. */
  readonly call: string
  /** In the language that was asked for. */
  readonly help: string
  readonly destructive?: boolean
  readonly args: readonly CommandArgument[]
}
/** What is typed behind a command, in this order. */
export interface CommandArgument {
  readonly name: string
  readonly help: string
  /** `text` takes the rest of the line; `duration` is like 90s, 10m, 2h, 3d. */
  readonly type: 'text' | 'word' | 'integer' | 'number' | 'boolean' | 'duration' | 'user' | 'choice'
  readonly required: boolean
  readonly choices: readonly string[]
  /** What it is when nothing is said. */
  readonly std?: string
  readonly min?: number
  readonly max?: number
}

// ------------------------------------------------------------------ messages

/** A word of the wire's list of content types; `call` stands for liveaudio and livevideo. */
export type Kind =
  | 'text' | 'image' | 'voice' | 'video' | 'file' | 'article' | 'jump' | 'share' | 'link' | 'forward'
  | 'reference' | 'topic_start' | 'topic_end' | 'topic_note' | 'call' | 'card' | 'system' | 'other'

/**
 * `queued`, `uploading`, `sending`, then `sent`; `delivered` and `read` once all others have it,
 * or have read it. `failed` has an `error` and waits for `retry` or `cancel`. Of others: `received`.
 */
export type Status = 'queued' | 'uploading' | 'sending' | 'sent' | 'delivered' | 'read' | 'failed' | 'received'

export interface Message {
  /** The server's; of a message that is not acknowledged, its clientId; of a bot's draft, the stream's. */
  readonly id: Id
  /** The sender's; where none was given, `id`. */
  readonly clientId: string
  /** The same for the whole life of what is shown, from draft or queue to the end: the key of a list. */
  readonly key: string
  readonly conversation: Id
  /** Null: it has no place yet. */
  readonly seq: Seq | null
  readonly from: Id
  /** It is one's own. */
  readonly own: boolean
  readonly at: number
  readonly kind: Kind
  readonly parts: readonly Part[]
  readonly status: Status
  readonly error?: TroupeError
  /** Those who are mentioned; `*` is everybody. */
  readonly mentions: readonly (Id | '*')[]
  readonly replyTo?: Ref
  readonly reactions: readonly Reaction[]
  /** Of one's own message: how many of the others. All 0 in large groups. */
  readonly receipts: Receipts
  readonly edited?: number
  /** It was taken back, and has no parts. `text`: what one's own one said, to write it anew. */
  readonly revoked?: { readonly by: Id; readonly at: number; readonly text?: string }
  /** Its time was over, and it has no parts. */
  readonly expired?: boolean
  readonly expiresAt?: number
  /** Of a bot: how its writing stands. */
  readonly stream?: StreamState
  /** A bot says it to oneself alone. It is in no history: `conversation.dismiss` closes it. */
  readonly whisper?: boolean
  /** What moderation made of it. `held` and `rejected` ones have no parts. */
  readonly deal?: Deal
  /** Of a call's invitation: who answered what. */
  readonly answers?: readonly { readonly user: Id; readonly answer: 'accept' | 'refuse' }[]
  /** 0 to 1 while files are uploaded. */
  readonly progress?: number
  /** With what it was written, where the sender said that. */
  readonly platform?: string
  /** A list's preview: what it says is cut short. */
  readonly cut?: boolean
}

export interface Receipts {
  readonly delivered: number
  readonly read: number
  readonly total: number
}

export interface StreamState {
  readonly state: 'thinking' | 'streaming' | 'done' | 'stopped' | 'failed'
  readonly rev: number
  /** All answers to the same question, the first one first; the timeline has the newest. */
  readonly variants?: readonly Id[]
}

/** What a moderator, a bot or a person, made of a message. */
export interface Deal {
  /** `rewritten`: the parts are what it was made into; `held`: nobody sees it until somebody decides; `rejected`: nobody ever does. */
  readonly state: 'rewritten' | 'held' | 'rejected'
  readonly by: Id
  /** For people. */
  readonly reason?: string
  readonly at?: number
}

export interface Reaction {
  readonly emoji: string
  /** Up to 50 of them. */
  readonly users: readonly Id[]
  readonly count: number
  /** Oneself is among them. */
  readonly mine: boolean
}

/** Another message of the same conversation. `message` is null until it is known, or when it is gone. */
export interface Ref {
  readonly id: Id
  readonly seq: Seq | null
  readonly message: Message | null
}

export type Part =
  | { readonly t: 'text'; readonly text: string; readonly format?: 'plain' | 'md' }
  | { readonly t: 'image' | 'video' | 'file' | 'voice'; readonly file: FileRef }
  | { readonly t: 'card'; readonly card: Card }
  | { readonly t: 'link'; readonly link: LinkData }
  | { readonly t: 'forward'; readonly title?: string; readonly items: readonly Forwarded[] }
  | { readonly t: 'call'; readonly video: boolean; readonly data?: Json }
  | { readonly t: 'notice'; readonly text: string; readonly data?: Json }
  | { readonly t: 'other'; readonly kind: string; readonly data?: Json }

export interface FileRef {
  /** The server's id or a link; absent while it is being uploaded. Shown by `files.url`. */
  readonly id?: Id
  readonly name: string
  readonly mime: string
  /** Bytes; 0: not known. */
  readonly size: number
  readonly width?: number
  readonly height?: number
  /** Milliseconds. */
  readonly duration?: number
  /** Loudness over time, 0 to 255. */
  readonly peaks?: readonly number[]
  /** A blurhash. */
  readonly placeholder?: string
  /** A smaller picture: an id or a link. */
  readonly thumb?: string
  /** What is being sent from here: shown until the server's is there, so that nothing blinks. */
  readonly blob?: Blob
}

export interface LinkData {
  readonly url: string
  readonly title?: string
  readonly text?: string
  readonly thumb?: string
  readonly data?: Json
}

export interface Forwarded {
  readonly conversation?: Id
  readonly id?: Id
  readonly from?: Id
  readonly at?: number
  readonly text: string
}

/** A card: a title, lines, rows of keys and values, buttons, and a form. */
export interface Card {
  readonly title?: string
  readonly text?: string
  readonly image?: string
  readonly url?: string
  readonly rows?: readonly { readonly label: string; readonly value: string }[]
  readonly buttons?: readonly CardButton[]
  readonly form?: CardForm
  /** What was done with it: the card is locked then. A bot says so by an edit; other senders' cards are locked by the first press. */
  readonly done?: { readonly action: string; readonly by?: Id; readonly at?: number }
  /** All that the sender said, as it came. */
  readonly data?: Json
}
export interface CardButton {
  readonly action: string
  readonly label: string
  readonly style?: 'primary' | 'danger' | 'plain'
  /** Opens this instead of being told to the bot. */
  readonly url?: string
}
export interface CardForm {
  readonly action: string
  readonly submit?: string
  readonly fields: readonly CardField[]
}
export interface CardField {
  readonly name: string
  readonly label: string
  readonly type: 'text' | 'textarea' | 'number' | 'select' | 'checkbox' | 'date'
  readonly required?: boolean
  readonly value?: Json
  readonly placeholder?: string
  readonly options?: readonly { readonly value: string; readonly label: string }[]
}

/** What one is about to send. */
export type Draft =
  | string
  | TextDraft
  | FileDraft
  | { card: Card }
  | { link: LinkData }
  | { call: 'audio' | 'video' }
  /** Any content of the wire, as docs/protocol.md has it. */
  | { content: WireContent }

export interface TextDraft {
  text: string
  format?: 'plain' | 'md'
  mentions?: readonly (Id | '*')[]
  /** It calls a bot's command, `args` by name: for programs. What people type is read by the server. */
  command?: { name: string; args?: Json }
}

/** One or more files, with a text beside them. */
export interface FileDraft {
  files: readonly NewFile[]
  text?: string
  mentions?: readonly (Id | '*')[]
}
export interface NewFile {
  /** What is uploaded, or (React Native) what the uploader understands. Absent with `id`. */
  blob?: Blob
  /** A file that is on the server already, or a link. */
  id?: Id
  kind?: 'image' | 'video' | 'voice' | 'file'
  name?: string
  mime?: string
  size?: number
  width?: number
  height?: number
  duration?: number
  peaks?: readonly number[]
  placeholder?: string
}
export interface WireContent {
  readonly type: string
  readonly [field: string]: unknown
}

/** A message on its way. */
export interface Outgoing {
  readonly clientId: string
  /** As it stands, until it is acknowledged; afterwards the timeline shows what becomes of it. */
  readonly message: Live<Message>
  /** When it is durable. Fails when it was refused or given up; nobody has to look at it. After `retry` it is another one. */
  readonly sent: Promise<Message>
  readonly progress: Live<number>
  retry(): void
  /** Takes it out of the queue; false: too late, it may have been sent. */
  cancel(): boolean
}

// ------------------------------------------------------------------ timeline

/** A row of a timeline. Rows that are not messages have keys that no message has. */
export type Item =
  | { readonly t: 'message'; readonly key: string; readonly seq: Seq | null; readonly at: number; readonly message: Message }
  | { readonly t: 'event'; readonly key: string; readonly seq: Seq; readonly at: number; readonly event: TimelineEvent }
  /** Where unread ones begin, as it was when the timeline was made. */
  | { readonly t: 'unread'; readonly key: 'unread'; readonly count: number }
  /** Earlier messages are not kept any more. */
  | { readonly t: 'gone'; readonly key: 'gone' }

/** What happened to the group. */
export type TimelineEvent =
  | { readonly t: 'joined'; readonly by: Id; readonly users: readonly Id[] }
  | { readonly t: 'left'; readonly by: Id; readonly users: readonly Id[]; readonly owner?: Id }
  | { readonly t: 'changed'; readonly by: Id; readonly what: GroupChange }
  | { readonly t: 'answered'; readonly by: Id; readonly message: Seq; readonly answer: 'accept' | 'refuse' }

/** Only what changed is there. */
export interface GroupChange extends GroupSettings {
  readonly owner?: Id
  readonly role?: { readonly users: readonly Id[]; readonly role: Role }
  /** 0: lifted. */
  readonly silenced?: { readonly users: readonly Id[]; readonly until: number }
  readonly dissolved?: boolean
}

export interface Timeline {
  /** In order: the log's rows, then what waits to be sent, then bots' drafts. */
  readonly items: Live<readonly Item[]>
  readonly status: Live<TimelineStatus>
  /** Loads a page of earlier rows; false: there are none. Calls at once are one. */
  older(): Promise<boolean>
  /** After a jump: a page towards the newest; false: it is there. */
  newer(): Promise<boolean>
  /** Shows what is around a message or seq. `NOT_FOUND`, `GONE`. */
  jump(at: Seq | Id | 'latest'): Promise<void>
  readonly atLatest: boolean
  dispose(): void
}
export interface TimelineStatus {
  readonly loading: 'first' | 'older' | 'newer' | null
  readonly hasOlder: boolean
  readonly atLatest: boolean
  /** Why the last load did not work; it is tried again by itself when the connection is back. */
  readonly error?: TroupeError
}

export interface SearchOptions {
  in?: Id
  kind?: Kind
  from?: Id
  after?: number
  before?: number
  cursor?: string
  limit?: number
  signal?: AbortSignal
}

/** A preview of a link. Show `host` beside it: title and site are only what the page says. */
export interface LinkCard {
  readonly url: string
  readonly host: string
  readonly title?: string
  readonly text?: string
  readonly site?: string
  /** For `<img>`, of this server. */
  readonly picture?: { readonly url: string; readonly width?: number; readonly height?: number; readonly placeholder?: string }
}

/** A place where words were found. */
export interface Hit {
  readonly message: Message
  readonly conversation: Id
  /** A piece of what was said, and from where to where (in it, to behind) the words stand. */
  readonly snippet: string
  readonly marks: readonly (readonly [number, number])[]
}

// ------------------------------------------------------------------ people

export interface User {
  readonly id: Id
  /** A remark of one's own, else the nickname; the id's beginning where nothing is known. */
  readonly name: string
  readonly nickname: string
  /** For `<img>`. */
  readonly avatar?: string
  readonly kind: 'human' | 'bot' | 'guest' | 'device' | 'system'
  /** To sign in with and be found by. */
  readonly account?: string
  readonly remark?: string
  readonly fields?: Readonly<Record<string, string>>
  readonly version: number
  /** Erased: nobody is behind it any more. */
  readonly gone: boolean
  /** Nothing is known of it yet: it is being asked for. */
  readonly unknown?: boolean
}

export interface Users {
  /** A user's profile, now and as it changes; asked for when it is not known. The same object for the same id. */
  get(id: Id): Live<User>
  /** Fresh profiles, with their `fields`. Unknown ones are left out. */
  load(ids: readonly Id[]): Promise<readonly User[]>
  /** By parts of name and nickname. */
  search(q: string, o?: { cursor?: string; limit?: number; signal?: AbortSignal }): Promise<Page<User>>
  /** By the exact name. */
  byName(name: string): Promise<User | null>
  /** Bots one may talk to. */
  bots(cursor?: string): Promise<Page<User>>
  /** Changes one's own profile. */
  update(what: { nickname?: string; avatar?: string; fields?: Record<string, string>; findable?: 'everyone' | 'exact' | 'nobody' }): Promise<User>
}

export interface Contact {
  readonly user: User
  readonly friend: boolean
  readonly blocked: boolean
  readonly remark?: string
  readonly tags: readonly string[]
  readonly since?: number
  /** The conversation of the two. */
  readonly conversation?: Id
}

export type RequestState = 'waiting' | 'accepted' | 'refused' | 'withdrawn' | 'expired'

interface RequestBase {
  readonly id: Id
  readonly from: User
  /** Oneself made it. */
  readonly outgoing: boolean
  /** Oneself may answer it now. */
  readonly mayAnswer: boolean
  readonly note?: string
  readonly state: RequestState
  readonly at: number
  readonly updatedAt: number
  readonly expiresAt?: number
  readonly answeredBy?: Id
  /** Accepted: the conversation it led to. */
  readonly conversation?: Id
}
export interface FriendRequest extends RequestBase {
  readonly kind: 'friend'
  readonly to: User
}
export interface GroupRequest extends RequestBase {
  readonly kind: 'group'
  readonly group: { readonly id: Id; readonly title: string; readonly avatar?: string }
  /** Who is invited; absent: `from` asks to be let in. */
  readonly invited?: User
}
export type PersonRequest = FriendRequest | GroupRequest

export interface Contacts {
  /** Friends by name, and those who are blocked at the end; read when first asked for. */
  list(): Live<readonly Contact[]>
  get(id: Id): Contact | null
  /** Friend and group requests to and from oneself, the newest first: those that wait, and those answered lately. */
  requests(): Live<readonly PersonRequest[]>
  /** Earlier ones. */
  moreRequests(): Promise<boolean>
  /** How many wait for oneself. */
  readonly waiting: Live<number>
  request(id: Id, note?: string): Promise<FriendRequest>
  /** Asks to be let into a group. */
  requestGroup(id: Id, note?: string): Promise<GroupRequest>
  answer(id: Id, answer: 'accept' | 'refuse'): Promise<PersonRequest>
  /** Takes one's own request back. */
  withdraw(id: Id): Promise<PersonRequest>
  remove(id: Id): Promise<void>
  block(id: Id, on: boolean): Promise<void>
  update(id: Id, what: { remark?: string; tags?: readonly string[] }): Promise<void>
}

export type PresenceStatus = 'online' | 'busy' | 'away' | 'offline'
export interface Presence {
  readonly user: Id
  readonly status: PresenceStatus
  readonly lastSeen?: number
}
export interface Presences {
  /** How a user is seen; null: not known, or not to be seen. It is watched while somebody subscribes. */
  of(user: Id): Live<Presence | null>
  /** How others see oneself while connected; `offline`: not at all. */
  set(status: PresenceStatus): Promise<void>
}

// ------------------------------------------------------------------ files

export interface FileInfo {
  readonly id: Id
  readonly name: string
  readonly mime: string
  readonly kind: 'image' | 'voice' | 'video' | 'document'
  readonly size: number
  readonly width?: number
  readonly height?: number
  readonly duration?: number
  readonly peaks?: readonly number[]
  readonly placeholder?: string
  readonly thumbs?: readonly { readonly size: 'small' | 'large'; readonly width: number; readonly height: number }[]
}

export interface Files {
  /**
   * A link for `<img>`, `<video>`, `<a>`: needs no token and ends after some minutes; asked
   * for once, and again shortly before it ends. A link is given back as it is.
   */
  url(id: Id, o?: { size?: 'small' | 'large'; download?: boolean }): Promise<string>
  info(id: Id): Promise<FileInfo>
  /** Uploads without sending: for avatars and the like. */
  upload(blob: Blob, o?: { name?: string; onProgress?(part: number): void; signal?: AbortSignal }): Promise<FileInfo>
}

/** Brings a file to the server. The default sends up to 5 MB in one request, and larger ones by tus. */
export interface Uploader {
  upload(job: UploadJob): Promise<FileInfo>
}
export interface UploadJob {
  readonly blob: Blob
  readonly name: string
  readonly mime: string
  /** What was kept of an earlier try, to go on from. */
  readonly resume?: string
  /** Keeps something for a later try, also after a restart. */
  keep(resume: string): void
  onProgress(part: number): void
  readonly signal: AbortSignal
  /** `https://host/api/v2` */
  readonly rest: string
  token(): Promise<string>
}

export interface Push {
  /** Says how this device is woken. */
  register(target: PushTarget): Promise<void>
  remove(): Promise<void>
}
export interface PushTarget {
  kind: 'apns' | 'fcm' | 'webpush' | 'getui' | 'hms' | 'mipush'
  token: string
  app?: string
}

// ------------------------------------------------------------------ events and errors

export interface Events {
  connection: ConnectionInfo
  /** After each connecting. `limited` names conversations of which only the newest is known. */
  synced: { readonly mode: 'resumed' | 'snapshot'; readonly missed: number; readonly limited: readonly Id[] }
  /** Somebody wrote, oneself on another device included; not what was there before. */
  message: Message
  /** A message is another now: edited, taken back, reacted to, acknowledged. */
  'message:change': Message
  /** A bot said something to oneself alone. */
  whisper: Message
  stream: { readonly conversation: Id; readonly id: Id; readonly text: string; readonly rev: number; readonly state: StreamState['state'] }
  typing: { readonly conversation: Id; readonly users: readonly Id[] }
  presence: Presence
  receipt: { readonly conversation: Id; readonly user: Id; readonly readSeq?: Seq; readonly receivedSeq?: Seq }
  unread: Unread
  outbox: { readonly pending: number; readonly failed: number }
  /** A request is new or was answered. */
  request: PersonRequest
  contact: { readonly contact: Contact; readonly gone: boolean }
  /** One came into a conversation, or is out of it. */
  conversation: { readonly id: Id; readonly gone: boolean }
  call: { readonly conversation: Id; readonly call: Id; readonly state: string; readonly user?: Id }
  notice: { readonly text: string; readonly level: string }
  /** Where things are kept; `memory` where they should be elsewhere says that a restart forgets. */
  storage: { readonly mode: 'indexeddb' | 'memory' | 'custom'; readonly error?: TroupeError; readonly evicted?: number }
  /** The server ended it: another device took over, or the login has ended. */
  kicked: { readonly code: Code; readonly reason: string }
  /** What nobody waits for: a listener that threw, a frame that made no sense. */
  error: TroupeError
}

/**
 * What went wrong. The words of the server's own table, and those of this side: `NETWORK`,
 * `TIMEOUT` (nobody knows whether it was done), `OFFLINE`, `CANCELLED`, `STORAGE`, `GONE`
 * (history that is not kept any more), `CLOSED` (the client was destroyed).
 */
export type Code = Exclude<WireCode, 'OK'> | 'NETWORK' | 'TIMEOUT' | 'OFFLINE' | 'CANCELLED' | 'STORAGE' | 'GONE' | 'CLOSED'

export interface TroupeError extends Error {
  readonly name: 'TroupeError'
  readonly code: Code
  /** The same may work later. */
  readonly retryable: boolean
  readonly retryAfterMs?: number
  readonly details?: Json
}

// ------------------------------------------------------------------ @troupe/client/account

/** Signing in and out for the installation's own users, guests and users of applications. */
export interface Account {
  /** Who is signed in here, also after a restart; null: nobody. */
  readonly login: Live<Login | null>
  /** For `createClient`. `UNAUTHORIZED` when the login has ended. */
  getToken(why?: { reason?: TokenRequest['reason']; signal?: AbortSignal }): Promise<string>
  signIn(name: string, password: string): Promise<Login>
  /** `code`: an invitation, where one is needed. */
  register(o: { name: string; password: string; nickname?: string; code?: string }): Promise<Login>
  /** As an anonymous visitor of an application. */
  guest(app: Id): Promise<Login>
  /** With a token that the page's own back end has signed for an application. */
  exchange(app: Id, token: string): Promise<Login>
  /** Takes a guest's place in its conversations. */
  merge(guest: { token: string }): Promise<void>
  changePassword(old: string, next: string): Promise<void>
  signOut(): Promise<void>
  /** Forgets the login here without asking the server. */
  forget(): void
  devices(cursor?: string): Promise<Page<Device>>
  /** Signs a device out; without one, all but this one. */
  signOutDevice(id?: Id): Promise<void>
  /** Who may register, and what the application shows. */
  application(app: Id): Promise<ApplicationInfo>
}
export interface AccountOptions {
  /** In a page the default is its own origin. */
  endpoint?: Endpoint
  device?: DeviceOptions
  /** Where the login is kept: `local` (all tabs, the default), `session` (this tab), or one's own. */
  keep?: 'local' | 'session' | 'memory' | KeyValue
  fetch?: typeof globalThis.fetch
  clock?: Clock
}
export type CreateAccount = (o?: AccountOptions) => Account
/** What localStorage is; promises are fine too. */
export interface KeyValue {
  getItem(key: string): string | null | Promise<string | null>
  setItem(key: string, value: string): void | Promise<void>
  removeItem(key: string): void | Promise<void>
}
export interface Login {
  readonly userId: Id
  readonly name?: string
  readonly device: Id
  readonly kind: 'user' | 'guest' | 'application'
}
export interface Device {
  readonly id: Id
  readonly name?: string
  readonly platform?: string
  readonly version?: string
  readonly lastSeenAt?: number
  /** It is this one. */
  readonly current: boolean
}
export interface ApplicationInfo {
  readonly id: Id
  readonly name: string
  readonly guests: boolean
  readonly colours: Readonly<Record<string, string>>
  readonly texts: Readonly<Record<string, string>>
  readonly features: readonly string[]
}
