import type { Id } from './api.js'
import type { Entry } from './wire-types.js'
import { deed, troupe } from './content.js'

/** A part of a log without a hole: the entries from low to high. */
export class Segment {
  readonly entries = new Map<number, Entry>()
  /** Who answered a call, by the invitation's seq. */
  readonly answers = new Map<number, { user: Id; answer: 'accept' | 'refuse' }[]>()
  /** What was pressed on a card, by the card's id. */
  readonly done = new Map<string, { action: string; by: Id; at: number }>()
  /** Answers to the same question, by the first one: the ids of all. */
  readonly variants = new Map<Id, readonly Id[]>()
  /** The log goes on below low. */
  more = true
  /** What was below is not kept any more. */
  gone = false
  /** Entries by their messagerecvId. */
  readonly ids = new Map<string, number>()

  constructor(public low: number, public high: number) {}

  put(e: Entry): void {
    this.entries.set(e.seq, e)
    this.ids.set(e.messagerecvId, e.seq)
    if (e.kind === 'answer' && e.target) {
      const old = this.answers.get(e.target) ?? []
      if (!old.some(a => a.user === e.sender)) this.answers.set(e.target, [...old, { user: e.sender, answer: e.answer === 'accept' ? 'accept' : 'refuse' }])
    }
    const first = troupe(e.content)?.variantOf
    if (typeof first === 'string') this.#variant(first, [...(this.variants.get(first) ?? [first]), e.messagerecvId])
    const d = e.replyTo && !e.recalled && deed(e.content)
    if (d && !this.done.has(e.replyTo!)) this.done.set(e.replyTo!, { action: d.action, by: e.sender, at: e.createdAt })
  }

  #variant(first: Id, all: readonly Id[]): void {
    const at = (id: Id): number => this.ids.get(id) ?? 0
    if (all.length > 1) this.variants.set(first, [...new Set(all)].sort((a, b) => at(a) - at(b)))
    else this.variants.delete(first)
  }

  /** Adds what lies right below low. */
  before(list: readonly Entry[], more: boolean): void {
    const from = this.low
    for (const e of list) this.put(e)
    this.low = Math.min(this.low, list[0]?.seq ?? this.low)
    this.more = more
    for (let s = from; s <= this.high; s++) { // what came while the page was on its way
      const e = this.entries.get(s)
      if (e?.target && e.target < from) this.affect(e)
    }
  }

  /** Does to an older entry what a newer one says of it; gives it as it is now, null: nothing. */
  affect(e: Entry): Entry | null {
    const old = e.target && this.entries.get(e.target)
    if (!old || old.recalled || (e.kind !== 'recall' && e.kind !== 'edit' && e.kind !== 'react' && e.kind !== 'expire')) return null
    const now: Entry & Was = { ...old }
    const first = troupe(old.content)?.variantOf ?? old.messagerecvId, variants = this.variants.get(first)
    switch (e.kind) {
      case 'recall': case 'expire':
        now.was = old.content?.type === 'text' ? old.content.text : undefined
        now.by = e.sender
        now.goneAt = e.createdAt
        now.recalled = e.kind === 'recall'
        now.expired = e.kind === 'expire'
        delete now.content
        delete now.deal
        if (variants) this.#variant(first, variants.filter(id => id !== old.messagerecvId))
        delete now.reactions
        delete now.replyTo
        break
      case 'edit':
        if ((!e.content && !e.deal) || e.createdAt < (old.editedAt ?? 0)) return null
        // What was held back and is let through was not edited.
        if (old.deal?.state !== 'held') now.editedAt = e.createdAt
        if (e.content) now.content = e.content
        else delete now.content
        if (e.deal) now.deal = e.deal
        else delete now.deal
        break
      case 'react': {
        if (e.seq <= (old.reactedSeq ?? 0)) return null // counted by the server
        const all = (old.reactions ?? []).map(r => ({ ...r, users: r.users.filter(u => r.reaction !== e.reaction || u !== e.sender), count: r.count ?? r.users.length }))
        let r = all.find(r => r.reaction === e.reaction)
        if (!r) all.push(r = { reaction: e.reaction!, users: [], count: 0 })
        r.count += e.removed ? -1 : 1
        if (!e.removed) r.users.push(e.sender)
        now.reactions = all.filter(r => r.count > 0)
        now.reactedSeq = e.seq
      }
    }
    this.entries.set(now.seq, now)
    return now
  }
}

/** What this side remembers of a message that was taken back. */
export interface Was {
  was?: string | undefined
  by?: Id
  goneAt?: number
}
