import { onScopeDispose, ref, type Ref } from 'vue'

/** How near to the end one has to be to be taken along by what is new, in pixels. */
export const nearEnd = 48

export interface Follow {
  readonly atEnd: Readonly<Ref<boolean>>
  /** Goes to the end and stays there while it grows. */
  toEnd(): void
  /** Stays where it is, whatever is new. */
  release(): void
  attach(scroller: HTMLElement, content: HTMLElement): void
  scrolled(): void
}

/**
 * useFollow keeps a scrolled box at its end while it grows (a new message, a streamed reply,
 * a picture that got its size), but only when the reader was there already. Whether they are
 * is decided by their own scrolling alone, never by the growth itself.
 */
export function useFollow(): Follow {
  const atEnd = ref(true)
  let box: HTMLElement | undefined
  let height = 0, view = 0
  let observer: ResizeObserver | undefined
  const end = () => { if (box) { box.scrollTop = box.scrollHeight } }
  onScopeDispose(() => observer?.disconnect())
  return {
    atEnd,
    toEnd() { atEnd.value = true; end() },
    release() { atEnd.value = false },
    attach(scroller, content) {
      box = scroller
      observer?.disconnect()
      observer = new ResizeObserver(() => { if (atEnd.value) end(); remember() })
      observer.observe(content)
      observer.observe(scroller)
    },
    scrolled() {
      if (!box) return
      const grew = box.scrollHeight !== height || box.clientHeight !== view
      const near = box.scrollHeight - box.scrollTop - box.clientHeight <= nearEnd
      if (near) atEnd.value = true
      else if (!grew) atEnd.value = false
      remember()
    },
  }
  function remember() {
    if (!box) return
    height = box.scrollHeight
    view = box.clientHeight
  }
}
