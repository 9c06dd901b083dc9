import { computed, onBeforeUnmount, onMounted, ref, type ComputedRef, type Ref } from 'vue'
import type { Layout } from './chat'

/** From this width on the list stands beside the chat. */
export const splitFrom = 720

/** useLayout decides by the width of the box, not of the window: a chat in a side panel is narrow. */
export function useLayout(box: Ref<HTMLElement | undefined>, wanted: () => 'auto' | Layout): { layout: ComputedRef<Layout>; width: Ref<number> } {
  const width = ref(0)
  let observer: ResizeObserver | undefined
  onMounted(() => {
    if (!box.value) return
    width.value = box.value.clientWidth
    observer = new ResizeObserver(() => { width.value = box.value?.clientWidth ?? width.value })
    observer.observe(box.value)
  })
  onBeforeUnmount(() => observer?.disconnect())
  const layout = computed((): Layout => {
    const w = wanted()
    return w !== 'auto' ? w : width.value >= splitFrom ? 'split' : 'single'
  })
  return { layout, width }
}

/** useTheme follows the system where it should. */
export function useTheme(wanted: () => 'auto' | 'light' | 'dark'): ComputedRef<'light' | 'dark'> {
  const query = typeof matchMedia === 'function' ? matchMedia('(prefers-color-scheme: dark)') : undefined
  const dark = ref(query?.matches ?? false)
  const changed = () => { dark.value = query?.matches ?? false }
  query?.addEventListener?.('change', changed)
  onBeforeUnmount(() => query?.removeEventListener?.('change', changed))
  return computed(() => { const w = wanted(); return w === 'auto' ? dark.value ? 'dark' : 'light' : w })
}
