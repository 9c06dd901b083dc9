/**
 * composing says that a key belongs to an input method (Chinese, Japanese …): Enter chooses
 * a word then, and sends nothing. Safari ends the composition before the key: it says 229.
 */
export const composing = (e: KeyboardEvent): boolean => e.isComposing || e.keyCode === 229

/** sends says whether this key sends what is written. */
export function sends(e: KeyboardEvent, o: { enter: 'send' | 'newline'; touch: boolean }): boolean {
  if (e.key !== 'Enter' || composing(e)) return false
  if (e.ctrlKey || e.metaKey) return true
  if (e.altKey || o.touch) return false
  return o.enter === 'send' ? !e.shiftKey : e.shiftKey
}
