/** activeIn answers what has the focus in the document or shadow root that el is in. */
export function activeIn(el: Node | null | undefined): HTMLElement | null {
  const root = el?.getRootNode()
  const active = root instanceof ShadowRoot || root instanceof Document ? root.activeElement : document.activeElement
  return active as HTMLElement | null
}

/** activeDeep answers what has the focus, however many shadow roots it is in. */
export function activeDeep(): HTMLElement | null {
  let el = document.activeElement
  while (el?.shadowRoot?.activeElement) el = el.shadowRoot.activeElement
  return el as HTMLElement | null
}

const focusable = 'a[href],button:not([disabled]),input:not([disabled]),select:not([disabled]),textarea:not([disabled]),[tabindex]:not([tabindex="-1"])'

/** firstFocusable finds where the focus goes when a box opens: what asks for it, else the first that can take it. */
export const firstFocusable = (box: HTMLElement): HTMLElement | null =>
  box.querySelector<HTMLElement>('[data-autofocus]') ?? box.querySelector<HTMLElement>(focusable)

/** roving moves the focus among items by the arrow keys, Home and End; true: the key was taken. */
export function roving(e: KeyboardEvent, items: readonly HTMLElement[], o: { columns?: number; horizontal?: boolean } = {}): boolean {
  if (items.length === 0) return false
  const at = items.indexOf(activeIn(items[0]!)!)
  const columns = o.columns ?? 1
  const rtl = getComputedStyle(items[0]!).direction === 'rtl' ? -1 : 1
  const step: Record<string, number> = columns > 1 ? { ArrowDown: columns, ArrowUp: -columns, ArrowRight: rtl, ArrowLeft: -rtl }
    : o.horizontal ? { ArrowRight: rtl, ArrowLeft: -rtl } : { ArrowDown: 1, ArrowUp: -1 }
  let to: number
  if (e.key in step) to = at < 0 ? 0 : at + step[e.key]!
  else if (e.key === 'Home') to = 0
  else if (e.key === 'End') to = items.length - 1
  else return false
  if (columns === 1) to = (to + items.length) % items.length
  if (to < 0 || to >= items.length) return true
  items[to]!.focus()
  e.preventDefault()
  return true
}
