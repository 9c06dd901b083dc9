import type { Id, Item, Message, Seq, Timeline, TimelineStatus } from './api.js'
import type { Convo } from './convo.js'
import type { Segment } from './segment.js'
import { Cell } from './live.js'
import { failure, type TroupeError } from './error.js'

const row = (message: Message): Item => ({ t: 'message', key: message.key, seq: message.seq, at: message.at, message })

/** A window onto a conversation's log: its newest part, or another one after a jump. */
export class Line implements Timeline {
  readonly items: Cell<readonly Item[]>
  readonly status: Cell<TimelineStatus>
  #elsewhere: Segment | null = null
  #unread: { after: number; count: number } | null | undefined // undefined: not known yet
  #busy: 'first' | 'older' | 'newer' | null = null
  #error: TroupeError | undefined
  #going: Promise<boolean> | null = null
  #page: number

  constructor(readonly c: Convo, o: { at?: Seq | 'unread' | 'latest'; page?: number }) {
    this.items = new Cell<readonly Item[]>(c.core.bell, undefined, old => this.#items(old))
    this.status = new Cell<TimelineStatus>(c.core.bell, undefined, () => this.#status())
    this.#page = Math.min(200, o.page ?? c.core.page)
    c.lines.add(this)
    void this.begin(o.at)
  }

  get #seg(): Segment | null { return this.#elsewhere ?? this.c.seg }
  get atLatest(): boolean { return !this.#elsewhere }

  async begin(at?: Seq | 'unread' | 'latest'): Promise<void> {
    await this.#run('first', async () => {
      const h = this.c.h
      if (h && this.#unread === undefined) this.#unread = h.unread > 0 ? { after: this.c.read, count: h.unread } : null
      await Promise.all([this.c.load(), this.c.people.marksOf()])
      if (typeof at === 'number') await this.#go(at)
      else if (at === 'unread' && this.#unread && this.c.seg && this.#unread.after + 1 < this.c.seg.low) await this.#go(this.#unread.after + 1)
      const s = this.c.seg
      // What is not shown by itself fills pages too: there is something to see at least.
      for (let i = 0; i < 5 && s === this.c.seg && s?.more && this.items.value.length < Math.min(this.#page, 20); i++) await this.c.older(s, this.#page)
      return true
    })
  }

  /** Looks whether something is still to be loaded, when the connection is back. */
  resume(): void {
    if (!this.c.seg || this.#error || this.c.seg.high < this.c.known) void this.begin()
    else void this.c.people.marksOf(true)
  }

  /** The log was dropped: it is read anew. */
  reset(): void {
    this.#leave()
    this.touch()
    if (this.c.core.online && !this.c.gone) this.c.core.later('reset' + this.c.id, 0, () => { for (const l of this.c.lines) l.resume() })
  }

  touch(): void {
    this.items.touch()
    this.status.touch()
  }

  #items(old: readonly Item[] | undefined): readonly Item[] {
    const s = this.#seg, out: Item[] = [], whispers = this.c.drafts?.whispers ?? []
    const whispered = (before: number): void => { while (whispers[0] && whispers[0].at <= before) out.push(row(whispers.shift()!)) }
    if (s) {
      if (!s.more && s.gone) out.push({ t: 'gone', key: 'gone' })
      let line = this.#unread
      for (let q = s.low; q <= s.high; q++) {
        const e = s.entries.get(q), item = e && this.c.item(e)
        if (!item) continue
        if (out.length || !s.more) whispered(item.t === 'message' || item.t === 'event' ? item.at - 1 : 0)
        else while (whispers[0] && whispers[0].at < e.createdAt) whispers.shift() // it belongs further up
        if (line && q > line.after && (item.t !== 'message' || !item.message.own)) {
          out.push({ t: 'unread', key: 'unread', count: line.count })
          line = null
        }
        out.push(item)
      }
    }
    if (this.atLatest) {
      whispered(Infinity)
      for (const w of this.c.core.out.of(this.c.id)) {
        if (w.hidden || (w.seq && this.c.seg && w.seq <= this.c.seg.high)) continue
        out.push(row(this.c.waiting(w)))
      }
      for (const m of this.c.drafts?.messages() ?? []) out.push(row(m))
    }
    const before = new Map(old?.map(i => [i.key, i]))
    // A row that is the same as before is the same object.
    let same = old?.length === out.length
    out.forEach((i, n) => {
      const b = before.get(i.key)
      if (b && b.t === i.t && (i.t === 'message' ? b.t === 'message' && b.message === i.message : i.t === 'unread' ? b.t === 'unread' && b.count === i.count : true)) out[n] = b
      if (same && old![n] !== out[n]) same = false
    })
    return same ? old! : out
  }

  #status(): TimelineStatus {
    const s = this.#seg
    return { loading: this.#busy, hasOlder: !!s?.more, atLatest: this.atLatest, ...(this.#error && { error: this.#error }) }
  }

  /** Does one load at a time; whoever asks meanwhile waits for it. */
  #run(what: 'first' | 'older' | 'newer', f: () => Promise<boolean>): Promise<boolean> {
    if (this.#going) return this.#going
    this.#busy = what
    this.touch()
    return (this.#going = f().then(
      ok => { this.#error = undefined; return ok },
      e => { this.#error = failure(e); return false },
    ).finally(() => {
      this.#busy = this.#going = null
      this.touch()
    }))
  }

  async older(): Promise<boolean> {
    if (this.#busy === 'first') await this.#going
    return this.#run('older', async () => {
      const s = this.#seg
      if (!s?.more) return false
      const had = this.items.value.length
      while (s === this.#seg && s.more && this.items.value.length === had) await this.c.older(s, this.#page)
      return true
    })
  }

  newer(): Promise<boolean> {
    return this.#run('newer', async () => {
      const s = this.#elsewhere
      if (!s) return false
      this.#show(await this.c.newer(s, this.#page))
      return true
    })
  }

  async jump(at: Seq | Id | 'latest'): Promise<void> {
    await this.#going
    if (at === 'latest') this.#leave()
    else await this.#go(typeof at === 'number' ? at : (await this.c.entry(at)).seq)
    this.touch()
  }

  async #go(seq: number): Promise<void> { this.#show(await this.c.around(seq, this.#page)) }

  #show(s: Segment): void {
    this.#leave()
    if (s !== this.c.seg) this.c.away.add((this.#elsewhere = s))
    this.touch()
  }

  #leave(): void {
    if (this.#elsewhere) this.c.away.delete(this.#elsewhere)
    this.#elsewhere = null
  }

  /** One has written: there is nothing unread, and one looks at the end. */
  sent(): void {
    this.#unread = null
    this.#leave()
    this.touch()
  }

  dispose(): void {
    this.#leave()
    this.c.lines.delete(this)
    this.c.core.trim(this.c)
  }
}
