import type { Id, Message, StreamState } from './api.js'
import type { MsgStream, MsgWhisper } from './wire-types.js'
import type { Convo } from './convo.js'
import { kind, parts } from './content.js'

interface Writing {
  sender: Id
  text: string
  rev: number
  state: StreamState['state']
  at: number
  replyTo?: Id
  seq?: number
  /** Frames behind a hole, until the draft was asked for whole. */
  held: MsgStream[]
}

/** What is no log in a conversation: what bots are writing, and what they said to oneself alone. */
export class Drafts {
  readonly #open = new Map<string, Writing>()
  readonly #ended = new Map<string, StreamState['state']>() // of drafts that became messages here
  readonly #keys = new Map<number, string>() // of those messages, where they are said to have another id
  readonly #whispers = new Map<Id, { f: MsgWhisper; m: Message }>()
  #asking = false

  constructor(readonly c: Convo) {}

  get some(): boolean { return this.#open.size > 0 }

  /** What a user writes is seen as it is written. */
  by(user: Id): boolean { return [...this.#open.values()].some(w => w.sender === user && /thinking|streaming/.test(w.state)) }

  /** A part of a draft. One behind a hole waits until the server has said the whole. */
  take(f: MsgStream): void {
    const w = this.#open.get(f.streamId) ?? { sender: f.sender, text: '', rev: 0, state: 'thinking', at: f.createdAt ?? this.c.core.serverNow, held: [] }
    if (this.#ended.has(f.streamId)) return
    if (f.replyTo) w.replyTo = f.replyTo
    this.#open.set(f.streamId, w)
    w.held.push(f)
    if (this.#fit(w)) void this.look()
    this.#tell(f.streamId, w)
  }

  /** Takes in what fits, in the order of rev; true: there is a hole. */
  #fit(w: Writing): boolean {
    w.held.sort((a, b) => (a.rev ?? 0) - (b.rev ?? 0))
    for (let f; (f = w.held[0]); w.held.shift()) {
      const rev = f.rev ?? w.rev, at = f.at ?? 0, length = w.text.length
      if (rev < w.rev || (rev === w.rev && f.rev && f.text !== undefined)) continue // overtaken
      // What shortens a text that lacks something before it would make nonsense of it.
      if (f.text !== undefined && at && (at > length || (at < length && rev > w.rev + 1))) return true
      w.rev = rev
      if (f.text !== undefined) w.text = w.text.slice(0, at) + f.text
      w.state = f.cancelled ? 'stopped' : f.failed ? 'failed' : f.done ? 'done' : /stopped|failed/.test(w.state) ? w.state : w.text ? 'streaming' : 'thinking'
      if (f.done && f.seq) {
        w.seq = f.seq
        this.#keys.set(f.seq, f.streamId)
      }
    }
    return false
  }

  #tell(id: string, w: Writing): void {
    if (w.state === 'done' && (!w.seq || (this.c.seg && w.seq <= this.c.seg.high))) this.#end(id, w)
    this.c.core.emit('stream', { conversation: this.c.id, id, text: w.text, rev: w.rev, state: w.state })
    this.c.core.later('stream' + this.c.id, 16, () => this.c.touch(), true) // many deltas are one change
  }

  #end(id: string, w: Writing): void {
    this.#open.delete(id)
    this.#ended.set(id, /stopped|failed/.test(w.state) ? w.state : 'done')
  }

  /** Asks for the drafts as they stand: where something was missed, and where one begins to look. */
  async look(): Promise<void> {
    if (this.#asking || !this.c.core.online || !this.c.known_) return
    this.#asking = true
    const had = [...this.#open.keys()]
    try {
      const f = await this.c.core.ask('sync', { session: this.c.id, limit: 1 })
      this.whole(f.streams ?? [], had)
    } catch { /* asked again with the next hole or connection */ } finally {
      this.#asking = false
    }
  }

  /** The drafts as the server has them; of `had`, those that are not among them have ended. */
  whole(list: readonly MsgStream[], had: readonly string[] = []): void {
    for (const f of list) {
      const w = this.#open.get(f.streamId)
      if (w) {
        if ((f.rev ?? 0) >= w.rev) w.text = '' // it is all there
        w.held = w.held.filter(h => (h.rev ?? 0) > (f.rev ?? 0))
        w.rev = Math.min(w.rev, (f.rev ?? 1) - 1)
      }
      this.take({ ...f, at: 0, text: f.text ?? '' })
    }
    for (const id of had) {
      const w = this.#open.get(id)
      if (w && !w.seq && !list.some(f => f.streamId === id)) this.#open.delete(id)
    }
    if (had.length) this.c.touch()
  }

  /** An entry of the log has its place: the draft it was is over, and an ended one of the same sender too. */
  placed(seq: number, clientId: string | undefined, sender: Id): void {
    for (const [id, w] of this.#open) {
      if (w.seq === seq || id === clientId) this.#end(id, w)
      else if (w.sender === sender && !w.seq && /stopped|failed|done/.test(w.state)) this.#open.delete(id)
    }
  }

  /** What the message at seq was as a draft here: its key, and how its writing ended. */
  was(seq: number, clientId: string | undefined): { key: string; state: StreamState['state'] } | undefined {
    const key = this.#keys.get(seq) ?? (clientId && this.#ended.has(clientId) ? clientId : undefined)
    return key === undefined ? undefined : { key, state: this.#ended.get(key) ?? 'done' }
  }

  /** Drafts as messages. */
  messages(): Message[] {
    const seg = this.c.seg
    return [...this.#open].filter(([, w]) => !(w.seq && seg && w.seq <= seg.high)).map(([id, w]) => ({
      ...this.#frame(id, id, w), kind: 'text', parts: w.text ? [{ t: 'text', text: w.text, format: 'md' }] : [], stream: { state: w.state, rev: w.rev },
    }))
  }

  #frame(id: Id, key: string, w: { sender: Id; at: number; replyTo?: Id }): Omit<Message, 'kind' | 'parts'> {
    return {
      id, clientId: id, key, conversation: this.c.id, seq: null, from: w.sender, own: false, at: w.at, status: 'received', mentions: [], reactions: [], receipts: { delivered: 0, read: 0, total: 0 },
      ...(w.replyTo && { replyTo: this.c.ref(w.replyTo) }),
    }
  }

  // --- whispers

  /** The same id again takes its place. */
  whisper(f: MsgWhisper): void {
    const { whisperId: id, sender, createdAt: at, replyTo, content } = f
    const m: Message = { ...this.#frame(id, 'w:' + id, { sender, at, ...(replyTo && { replyTo }) }), kind: kind(content), parts: parts(content), whisper: true }
    this.#whispers.set(id, { f, m })
    this.c.touch()
    this.c.core.emit('whisper', m)
  }

  dismiss(id: Id): void {
    if (this.#whispers.delete(id)) this.c.touch()
  }

  /** In the order in which they came about. */
  get whispers(): Message[] { return [...this.#whispers.values()].map(w => w.m).sort((a, b) => a.at - b.at) }
}
