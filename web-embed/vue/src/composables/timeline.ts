import { computed, onScopeDispose, shallowRef, watch, type ComputedRef, type ShallowRef } from 'vue'
import type { Conversation, Id, Seq, Timeline, TimelineStatus } from '@troupe/client'
import { prepended, rowsOf, type Row } from '../timeline/rows'

export interface TimelineRows {
  readonly rows: Readonly<ShallowRef<readonly Row[]>>
  /** The newest change put rows in front of the others: the view has to stay with these. */
  readonly shift: Readonly<ShallowRef<boolean>>
  readonly status: Readonly<ShallowRef<TimelineStatus>>
  readonly timeline: Timeline
  indexOf(what: { key?: string; id?: Id; seq?: Seq }): number
  readonly firstUnread: ComputedRef<number>
}

/** useRows is one window onto a conversation, as rows. It ends with the component. */
export function useRows(conversation: Conversation, at: Seq | 'unread' | 'latest', typing: () => readonly Id[]): TimelineRows {
  const timeline = conversation.timeline({ at, page: 50 })
  const items = shallowRef(timeline.items.value)
  const status = shallowRef(timeline.status.value)
  const rows = shallowRef<readonly Row[]>([])
  const shift = shallowRef(false)
  const stops = [timeline.items.subscribe(v => { items.value = v }), timeline.status.subscribe(v => { status.value = v })]
  watch([items, () => status.value.hasOlder, typing], () => {
    const before = rows.value
    const next = rowsOf(items.value, { hasOlder: status.value.hasOlder, typing: status.value.atLatest ? typing() : [], before })
    shift.value = prepended(before, next) > 0
    rows.value = next
  }, { immediate: true, flush: 'pre' })
  onScopeDispose(() => { stops.forEach(f => f()); timeline.dispose() })
  return {
    rows, shift, status, timeline,
    indexOf: ({ key, id, seq }) => rows.value.findIndex(r => key !== undefined ? r.key === key
      : (r.t === 'message' || r.t === 'line') && (id !== undefined ? r.message.id === id : r.message.seq === seq)),
    firstUnread: computed(() => rows.value.findIndex(r => r.t === 'unread')),
  }
}
