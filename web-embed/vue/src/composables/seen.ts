import { onBeforeUnmount } from 'vue'
import type { Conversation, Seq } from '@troupe/client'
import type { Row } from '../timeline/rows'

/** How long a message has to be in view before it counts as read. */
const longEnough = 500

/** useSeen marks as read what was in view for half a second, while somebody looks at the page. */
export function useSeen(conversation: Conversation): { look(rows: readonly Row[], last: number): void } {
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
    look(rows, last) {
      for (let i = Math.min(last, rows.length - 1); i >= 0; i--) {
        const row = rows[i]!
        const seq = row.t === 'message' || row.t === 'line' ? row.message.seq : null
        if (seq === null) continue
        if (seq > waiting) { waiting = seq; clearTimeout(timer); timer = undefined; if (somebody()) wake() }
        return
      }
    },
  }
}
