import { computed, onScopeDispose, ref, shallowRef, watch, type ComputedRef, type Ref, type ShallowRef } from 'vue'
import type { User } from '@troupe/client'
import { useChat } from './chat'

export interface UserSearch {
  words: Ref<string>
  /** Whoever has exactly that name comes first. */
  found: Readonly<ShallowRef<readonly User[]>>
  busy: Readonly<Ref<boolean>>
  done: Readonly<Ref<boolean>>
  /** Loads the next page; undefined: there is none. */
  more: ComputedRef<(() => Promise<void>) | undefined>
}

/** useUserSearch finds people on the server while one types: after 250 ms of quiet, the newest question only. */
export function useUserSearch(): UserSearch {
  const chat = useChat()
  const words = ref(''), busy = ref(false), done = ref(false), next = ref<string>()
  const found = shallowRef<readonly User[]>([])
  let timer: ReturnType<typeof setTimeout> | undefined, abort: AbortController | undefined
  async function ask(q: string, cursor?: string) {
    const mine = abort = new AbortController()
    busy.value = true
    try {
      const [exact, page] = await Promise.all([
        cursor ? null : chat.client.users.byName(q).catch(() => null),
        chat.client.users.search(q, { limit: 30, signal: mine.signal, ...(cursor && { cursor }) }),
      ])
      if (mine.signal.aborted) return
      const all = new Map([...(cursor ? found.value : []), ...(exact ? [exact] : []), ...page.items].map(u => [u.id, u]))
      found.value = [...all.values()]
      next.value = page.next
      done.value = true
    } catch (e) {
      if (!mine.signal.aborted) chat.fail(e)
    } finally {
      if (abort === mine) busy.value = false
    }
  }
  watch(words, text => {
    clearTimeout(timer)
    abort?.abort()
    done.value = false
    next.value = undefined
    const q = text.trim()
    if (!q) { found.value = []; busy.value = false; return }
    busy.value = true
    timer = setTimeout(() => void ask(q), 250)
  })
  onScopeDispose(() => { clearTimeout(timer); abort?.abort() })
  const more = computed(() => (next.value && !busy.value ? () => ask(words.value.trim(), next.value) : undefined))
  return { words, found, busy, done, more }
}
