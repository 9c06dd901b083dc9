import { onBeforeUnmount } from 'vue'
import type { Conversation, Seq } from '@troupe/client'
import type { Row } from '../timeline/rows'

/** How long a message has to be in view before it counts as read. */
const longEnough = 500

/** useSeen marks as read what was in view for half a second, while somebody looks at the page. */
export function useSeen(conversation: Conversation): { look(rows: readonly Row[], last: number, head?: Seq): void } {
  let timer: ReturnType<typeof setTimeout> | undefined
  let waiting: Seq = 0, marked: Seq = 0
  const somebody = () => document.visibilityState === 'visible' && document.hasFocus()
  const mark = () => {
    timer = undefined
    if (!somebody() || waiting <= marked) return
    marked = waiting
    conversation.markRead(waiting)
  }
  const wake = () => { if (waiting > marked && timer === undefined) timer = setTimeout(mark, longEnough) }
  addEventListener('focus', wake)
  document.addEventListener('visibilitychange', wake)
  onBeforeUnmount(() => {
    clearTimeout(timer)
    removeEventListener('focus', wake)
    document.removeEventListener('visibilitychange', wake)
  })
  return {
    /** head: the newest seq, where nothing is below: what is not shown by itself is read with what is above it. */
    look(rows, last, head = 0) {
      const seqOf = (row: Row) => row.t === 'message' || row.t === 'line' ? row.message.seq : null
      for (let i = Math.min(last, rows.length - 1); i >= 0; i--) {
        let seq = seqOf(rows[i]!)
        if (seq === null) continue
        if (head > seq && !rows.slice(last + 1).some(r => seqOf(r) !== null)) seq = head
        if (seq > waiting) { waiting = seq; clearTimeout(timer); timer = undefined; if (somebody()) wake() }
        return
      }
    },
  }
}
