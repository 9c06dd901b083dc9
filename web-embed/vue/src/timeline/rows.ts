import type { Id, Item, Message, TimelineEvent } from '@troupe/client'
import { daysAgo } from '../text/dates'

export interface MessageRow {
  readonly t: 'message'; readonly key: string; readonly message: Message
  /** First and last of a group: one sender, five minutes apart at most, nothing between. */
  readonly start: boolean; readonly end: boolean
}
export type Row =
  | MessageRow
  | { readonly t: 'day'; readonly key: string; readonly at: number }
  | { readonly t: 'unread'; readonly key: string; readonly count: number }
  | { readonly t: 'gone'; readonly key: string }
  | { readonly t: 'event'; readonly key: string; readonly event: TimelineEvent; readonly at: number }
  | { readonly t: 'line'; readonly key: string; readonly message: Message }
  | { readonly t: 'typing'; readonly key: string; readonly users: readonly Id[] }

const groupFor = 5 * 60_000

/** A message that is a centred line and no bubble: taken back, over, a topic's ends, what the system says in passing. */
export const isLine = (m: Message): boolean =>
  !!m.revoked || !!m.expired || m.kind === 'topic_start' || m.kind === 'topic_end'

/**
 * rowsOf makes of a timeline's items what is drawn. `before` are the rows drawn now: those
 * that say the same are given back as they are, so that nothing else is drawn anew. While
 * there are earlier messages (`hasOlder`), no day stands above the first row: it would jump
 * when they come.
 */
export function rowsOf(items: readonly Item[], o: { hasOlder: boolean; typing?: readonly Id[]; before?: readonly Row[] }): Row[] {
  const rows: Row[] = []
  let at: number | undefined, unread: Row | undefined
  for (const item of items) {
    if (item.t === 'gone') { rows.push(item); continue }
    if (item.t === 'unread') { unread = item; continue } // below the day, where one begins there
    if (at === undefined ? !o.hasOlder : daysAgo(at, item.at) > 0) rows.push({ t: 'day', key: `day:${dayKey(item.at)}`, at: item.at })
    at = item.at
    if (unread) { rows.push(unread); unread = undefined }
    if (item.t === 'event') rows.push({ t: 'event', key: item.key, event: item.event, at: item.at })
    else if (isLine(item.message)) rows.push({ t: 'line', key: item.key, message: item.message })
    else rows.push({ t: 'message', key: item.key, message: item.message, start: true, end: true })
  }
  if (unread) rows.push(unread)
  if (o.typing?.length) rows.push({ t: 'typing', key: 'typing', users: o.typing })
  const old = new Map(o.before?.map(r => [r.key, r]))
  return rows.map((row, i) => {
    const now = row.t === 'message' ? { ...row, start: !joined(rows[i - 1], row), end: !joined(row, rows[i + 1]) } : row
    const was = old.get(row.key)
    return was && same(was, now) ? was : now
  })
}

function joined(a: Row | undefined, b: Row | undefined): boolean {
  return a?.t === 'message' && b?.t === 'message' && !a.message.whisper && !b.message.whisper && a.message.from === b.message.from && b.message.at - a.message.at <= groupFor
}

function same(a: Row, b: Row): boolean {
  if (a.t !== b.t || a.key !== b.key) return false
  switch (a.t) {
    case 'message': { const x = b as MessageRow; return a.message === x.message && a.start === x.start && a.end === x.end }
    case 'day': return daysAgo(a.at, (b as typeof a).at) === 0
    case 'unread': return a.count === (b as typeof a).count
    case 'event': return a.event === (b as typeof a).event
    case 'line': return a.message === (b as typeof a).message
    case 'typing': { const x = (b as typeof a).users; return a.users.length === x.length && a.users.every((u, i) => u === x[i]) }
    case 'gone': return true
  }
}

function dayKey(at: number): string {
  const d = new Date(at)
  return `${d.getFullYear()}-${d.getMonth() + 1}-${d.getDate()}`
}

/** prepended says how many rows came in front of what was there; 0 when it is another list, or nothing came. */
export function prepended(before: readonly Row[], after: readonly Row[]): number {
  const first = before[0]
  if (!first || after[0]?.key === first.key) return 0
  const at = after.findIndex(r => r.key === first.key)
  return at > 0 ? at : 0
}
