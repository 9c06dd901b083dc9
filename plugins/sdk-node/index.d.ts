/** Runs a bot as a plugin's process, and does not come back. */
export function serve(bot: Bot): void

type Maybe<T> = T | Promise<T>
type Handler = (c: Context) => Maybe<unknown>

export interface Bot {
  /** 1 to 32 of a-z, 0-9 and -, beginning with a letter. Its user is b_ID. */
  id: string
  version?: string
  name?: string
  about?: string
  avatar?: string
  /** A model of its own writes what it says; said by itself where it has the scope model. */
  ai?: boolean
  /** When it is more than one user: all of them. */
  personas?: { handle: string; name: string; about?: string; avatar?: string; ai?: boolean }[]
  scopes?: string[]
  commands?: Command[]
  /** Events at once: 16. */
  parallel?: number
  /** Which events of a session wait for each other; session: all. */
  ordering?: 'session' | 'user' | 'none'
  /** Milliseconds: older events are not answered. 2 minutes; Infinity: any age. */
  maxEventAge?: number
  /** Its settings: JSON Schema by name. */
  config?: Record<string, { type: string; default?: unknown; description?: string; [key: string]: unknown }>
  /** Before all others; an error ends the bot. */
  onStart?: Handler
  onMessage?: Handler
  /** A button or form that actions doesn't have. */
  onAction?: Handler
  actions?: Record<string, Handler>
  onAdded?: Handler
  onRemoved?: Handler
  onEdited?: Handler
  onRecalled?: Handler
  onSchedule?: Handler
  onWebhook?: Handler
  /** What becomes of a message before anybody sees it: within 300 ms. Nothing: it is allowed. */
  moderate?: (draft: Draft) => Maybe<Verdict | undefined>
}

export interface Command {
  name: string
  help: string
  helpIn?: Record<string, string>
  args?: Argument[]
  readOnly?: boolean
  /** As a tool of an assistant it needs a person's click. */
  destructive?: boolean
  persona?: string
  /** What is given is checked: an integer or number, a boolean, a duration in milliseconds, a user's id, or text. */
  run: (c: Context, args: Record<string, any>) => Maybe<unknown>
}

export interface Argument {
  name: string
  type?: 'text' | 'word' | 'integer' | 'number' | 'boolean' | 'duration' | 'user' | 'choice'
  help?: string
  helpIn?: Record<string, string>
  optional?: boolean
  choices?: string[]
  default?: string | number | boolean
  min?: number
  max?: number
}

export interface Person { user: string; name: string; kind: string; role: string; isAdmin: boolean }
export interface FileRef { id: string; name: string; mime: string; size: number }
export interface Posted { message: string; seq: number; duplicate: boolean; held: boolean }

/** One of text, card and content. */
export interface Post {
  text?: string
  markdown?: boolean
  card?: Card
  content?: object
  /** A message's id; '-': none; '': in groups the event's message. */
  replyTo?: string
  mentions?: string[]
  /** Seconds. */
  expire?: number
  /** One's own answer, of which this is another. */
  variantOf?: string
  /** Which of the event's posts it is: the next one. */
  n?: number
  /** Outside an event: the same key again is the same message. */
  key?: string
}

/** An event, and all that a bot can do about it. */
export interface Context {
  readonly id: string
  readonly kind: 'message' | 'command' | 'action' | 'added' | 'removed' | 'edited' | 'recalled' | 'schedule' | 'webhook' | 'tool' | string
  readonly session: string
  readonly sessionType: string
  readonly seq: number
  readonly message: string
  readonly attempt: number
  readonly hops: number
  readonly to: string
  readonly sender: Person
  readonly text: string
  readonly content: any
  readonly files: FileRef[]
  readonly replyTo?: { message: string; sender: string; text: string; mine: boolean }
  readonly mentioned: boolean
  readonly command: string
  readonly args: Record<string, any>
  readonly action: string
  readonly values: Record<string, any>
  readonly body: string
  readonly at: Date
  readonly traceparent: string
  readonly locale: string
  readonly late: boolean
  readonly config: Record<string, any>
  readonly isGroup: boolean
  readonly self: string
  /** Ends when a person presses Stop, or the host is gone. */
  readonly signal: AbortSignal
  readonly stopped: boolean
  readonly kv: KV
  readonly global: KV
  granted(scope: string): boolean
  say(zh: string, en: string): string
  now(): Date
  log(...parts: unknown[]): void
  in(session: string): Context
  json(): any

  reply(text: string): Promise<Posted>
  post(p: Post): Promise<Posted>
  stream(options?: { replyTo?: string; variantOf?: string }): Stream
  typing(): Promise<void>
  whisper(text: string): Promise<void>
  whisperTo(user: string, p: Post): Promise<void>
  edit(message: string, p: Post): Promise<void>
  recall(message: string): Promise<void>
  react(reaction: string, options?: { message?: string; remove?: boolean }): Promise<void>
  silence(user: string, until?: Date): Promise<void>
  card(card: Card): Promise<Posted>
  update(card: Card): Promise<void>
  lock(card: Card): Promise<void>
  history(limit?: number, before?: number): Promise<{ message: string; seq: number; sender: Person; text: string; content: any; replyTo: string; at: Date; mine: boolean }[]>
  members(): AsyncGenerator<Person>
  schedule(id: string, at: Date | number, body?: unknown): Promise<void>
  unschedule(id: string): Promise<void>
  file(id: string): Promise<{ id: string; name: string; mime: string; data: Buffer }>
  upload(name: string, mime: string, data: Uint8Array): Promise<string>
  handoff(summary: string, user?: string): Promise<void>
  takeOver(): Promise<void>
  tools(): Promise<{ name: string; help: string; schema: any; destructive: boolean }[]>
  callTool(name: string, args?: object): Promise<{ text: string; pending: boolean }>
  used(model: string, promptTokens: number, completionTokens: number): Promise<number>
  secret(name: string): Promise<string>
  fetch(url: string, options?: { method?: string; headers?: Record<string, string>; body?: string | Uint8Array; sign?: string }): Promise<{ status: number; header: Record<string, string>; body: Buffer }>
  makeHook(name: string): Promise<Hook>
  hooks(): Promise<Hook[]>
  dropHook(id: string): Promise<void>
  /** For any client of the OpenAI API; undefined: there is no model. */
  model(): { baseURL: string; apiKey: string; fetch: typeof globalThis.fetch } | undefined
}

export interface Hook { id: string; name: string; path: string; createdAt: string }

/** An answer that people see while it is written. */
export interface Stream {
  readonly text: string
  write(chunk: string | Uint8Array): Promise<void>
  close(end?: { text?: string; content?: object; finish?: string; model?: string; promptTokens?: number; completionTokens?: number }): Promise<Posted | undefined>
  fail(err: unknown): Promise<Posted | undefined>
}

export interface KV {
  get(key: string): Promise<{ key: string; value: Buffer; version: number; expiresAt: number }>
  /** For ever, or for ttl milliseconds. */
  set(key: string, value: string | Uint8Array, ttl?: number): Promise<void>
  /** If it still has that version, 0: is not there; else CONFLICT. */
  swap(key: string, value: string | Uint8Array, version: number): Promise<void>
  delete(key: string): Promise<void>
  list(prefix?: string): AsyncGenerator<{ key: string; value: Buffer; version: number; expiresAt: number }>
  getJSON<T = any>(key: string): Promise<T | undefined>
  setJSON(key: string, value: unknown, ttl?: number): Promise<void>
  update<T = any>(key: string, f: (was: T | undefined) => Maybe<T>): Promise<T>
}

export interface Draft {
  session: string
  sessionType: string
  sender: { user: string; name: string; kind: string; role: string }
  text: string
  files: { file: string; name: string; mime: string; size: string }[]
  byBot: boolean
  locale: string
  global: KV
}
export interface Verdict { verdict: 'allow' | 'rewrite' | 'reject' | 'hold'; text?: string; reason?: string }

export class Card {
  constructor(title?: string)
  title: string
  text: string
  url: string
  image: string
  data: Record<string, unknown>
  say(text: string): this
  row(label: string, value: string | number): this
  button(action: string, label: string, style?: 'primary' | 'danger' | 'plain'): this
  primary(action: string, label: string): this
  danger(action: string, label: string): this
  link(url: string, label: string): this
  ask(action: string, submit: string, ...fields: Field[]): this
}
export interface Field {
  name: string
  label: string
  type: 'text' | 'textarea' | 'number' | 'select' | 'checkbox' | 'date'
  required?: boolean
  value?: unknown
  placeholder?: string
  options?: { value: string; label: string }[]
}

/** What the host answers when it does not do what a bot wants. */
export class BotError extends Error {
  constructor(code: string, detail?: string, retryAfter?: number)
  code: string
  detail: string
  /** Milliseconds. */
  retryAfter: number
}
export function codeOf(err: unknown): string
/** The event does not come again. */
export function drop<E extends Error>(err: E): E
/** The event comes again, not before ms milliseconds have passed. */
export function retryIn(ms: number, err: unknown): BotError

/** Runs a bot over any connection. */
export class Runner {
  constructor(bot: Bot, send: (frame: any) => Maybe<void>)
  describe(): any
  frame(frame: any): void
  end(): void
}
