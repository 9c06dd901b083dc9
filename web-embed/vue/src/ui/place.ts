export interface Rect { left: number; top: number; right: number; bottom: number; width: number; height: number }
export type Side = 'below' | 'above'

/**
 * place puts a box of the given size beside its anchor, within the view: below it where
 * there is room, else above; its start on the anchor's start, pushed in where it would stick out.
 */
export function place(anchor: Rect, box: { width: number; height: number }, view: { width: number; height: number },
  o: { side?: Side; align?: 'start' | 'end' | 'center'; gap?: number; margin?: number } = {}): { left: number; top: number; side: Side; maxHeight: number } {
  const gap = o.gap ?? 6, margin = o.margin ?? 8
  const roomBelow = view.height - anchor.bottom - gap - margin, roomAbove = anchor.top - gap - margin
  let side = o.side ?? 'below'
  if (side === 'below' && roomBelow < box.height && roomAbove > roomBelow) side = 'above'
  else if (side === 'above' && roomAbove < box.height && roomBelow > roomAbove) side = 'below'
  const maxHeight = Math.max(120, side === 'below' ? roomBelow : roomAbove)
  const height = Math.min(box.height, maxHeight)
  const wanted = o.align === 'end' ? anchor.right - box.width : o.align === 'center' ? anchor.left + anchor.width / 2 - box.width / 2 : anchor.left
  const left = Math.max(margin, Math.min(wanted, view.width - box.width - margin))
  const top = side === 'below' ? anchor.bottom + gap : anchor.top - gap - height
  return { left, top: Math.max(margin, Math.min(top, view.height - height - margin)), side, maxHeight }
}
