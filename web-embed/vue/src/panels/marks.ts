export interface MarkedPiece { readonly text: string; readonly hit: boolean }

/** marked cuts a snippet where its marks begin and end; marks may come in any order and overlap. */
export function marked(text: string, marks: readonly (readonly [number, number])[]): MarkedPiece[] {
  const out: MarkedPiece[] = []
  let at = 0
  for (const [from, to] of [...marks].sort((a, b) => a[0] - b[0])) {
    const begin = Math.max(at, Math.min(from, text.length)), end = Math.min(to, text.length)
    if (end <= begin) continue
    if (begin > at) out.push({ text: text.slice(at, begin), hit: false })
    out.push({ text: text.slice(begin, end), hit: true })
    at = end
  }
  if (at < text.length) out.push({ text: text.slice(at), hit: false })
  return out
}
