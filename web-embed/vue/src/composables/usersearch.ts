import { onScopeDispose, ref, shallowRef, watch, type Ref, type ShallowRef } from 'vue'
import type { User } from '@troupe/client'
import { useChat } from './chat'

/** useUserSearch finds people on the server while one types: after 250 ms of quiet, the newest question only. */
export function useUserSearch(): { words: Ref<string>; found: Readonly<ShallowRef<readonly User[]>>; busy: Readonly<Ref<boolean>>; done: Readonly<Ref<boolean>> } {
  const chat = useChat()
  const words = ref(''), busy = ref(false), done = ref(false)
  const found = shallowRef<readonly User[]>([])
  let timer: ReturnType<typeof setTimeout> | undefined, abort: AbortController | undefined
  watch(words, q => {
    clearTimeout(timer)
    abort?.abort()
    done.value = false
    if (!q.trim()) { found.value = []; busy.value = false; return }
    busy.value = true
    timer = setTimeout(async () => {
      const mine = abort = new AbortController()
      try {
        const page = await chat.client.users.search(q.trim(), { limit: 30, signal: mine.signal })
        if (mine.signal.aborted) return
        found.value = page.items
        done.value = true
      } catch (e) {
        if (!mine.signal.aborted) chat.fail(e)
      } finally {
        if (abort === mine) busy.value = false
      }
    }, 250)
  })
  onScopeDispose(() => { clearTimeout(timer); abort?.abort() })
  return { words, found, busy, done }
}
