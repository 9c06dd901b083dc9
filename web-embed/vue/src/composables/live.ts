import { onScopeDispose, shallowRef, watch, type ShallowRef } from 'vue'
import type { Live } from '@troupe/client'

/** useLive shows a Live value as a ref for as long as the component lives. */
export function useLive<T>(live: Live<T>): Readonly<ShallowRef<T>> {
  const value = shallowRef(live.value)
  onScopeDispose(live.subscribe(v => { value.value = v }))
  return value
}

/** useLiveOf follows the Live that `source` gives, which may be another one (or none) later. */
export function useLiveOf<T>(source: () => Live<T> | null | undefined, none: T): Readonly<ShallowRef<T>> {
  const value = shallowRef<T>(source()?.value ?? none)
  let stop: (() => void) | undefined
  watch(source, live => {
    stop?.()
    stop = undefined
    if (!live) value.value = none
    else stop = live.subscribe(v => { value.value = v })
  }, { immediate: true, flush: 'sync' })
  onScopeDispose(() => stop?.())
  return value
}
