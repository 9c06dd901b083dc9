import { onScopeDispose, ref, type Ref } from 'vue'

/** How near to the end one has to be to be taken along by what is new, in pixels. */
export const nearEnd = 48

/** By what a reader moves a box; how long after it the box may still be moving. */
const hands = ['wheel', 'touchmove', 'pointerdown', 'keydown'] as const
const handMillis = 700

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
 * a picture that got its size), but only when the reader was there already. Only moving up
 * ends it: growth alone never does, however many frames it takes to be measured. While rows come
 * in and are measured, what draws them moves the box up too: then a move is the reader's only when
 * a hand was at it.
 */
export function useFollow(): Follow {
  const atEnd = ref(true)
  let box: HTMLElement | undefined
  let top = 0, height = 0
  let observer: ResizeObserver | undefined
  let hand = -Infinity
  const touched = () => { hand = performance.now() }
  const released = () => hands.forEach(e => box?.removeEventListener(e, touched))
  const remember = () => { if (box) { top = box.scrollTop; height = box.scrollHeight } }
  const end = () => { if (box) { box.scrollTop = box.scrollHeight; remember() } }
  const keep = () => { if (atEnd.value) end() }
  onScopeDispose(() => { observer?.disconnect(); released() })
  return {
    atEnd,
    toEnd() { atEnd.value = true; end() },
    release() { atEnd.value = false },
    attach(scroller, content) {
      released()
      box = scroller
      hands.forEach(e => scroller.addEventListener(e, touched, { passive: true }))
      observer?.disconnect()
      observer = new ResizeObserver(keep)
      observer.observe(content)
      observer.observe(scroller)
    },
    scrolled() {
      if (!box) return
      const near = box.scrollHeight - box.scrollTop - box.clientHeight <= nearEnd
      if (near) atEnd.value = true
      else if (box.scrollTop < top - 1 && (box.scrollHeight === height || box.scrollHeight > height && performance.now() - hand < handMillis)) atEnd.value = false
      else if (atEnd.value) end()
      remember()
    },
  }
}
