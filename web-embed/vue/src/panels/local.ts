import type { Hit, Kind, Message } from '@troupe/client'

/** localHits finds words in what is loaded, the newest first: at once, and also without a connection. */
export function localHits(messages: readonly Message[], words: string, kind: Kind | '' = ''): Hit[] {
  const wanted = words.trim().toLocaleLowerCase().split(/\s+/).filter(Boolean)
  const hits: Hit[] = []
  for (let i = messages.length - 1; i >= 0 && hits.length < 60; i--) {
    const m = messages[i]!
    if (m.seq === null || (kind && m.kind !== kind)) continue
    const text = m.parts.map(p => p.t === 'text' ? p.text : p.t === 'file' ? p.file.name : p.t === 'link' ? p.link.title ?? p.link.url : p.t === 'card' ? p.card.title ?? '' : '').filter(Boolean).join(' ')
    const low = text.toLocaleLowerCase()
    if (!wanted.every(w => low.includes(w)) || (!wanted.length && !kind)) continue
    const first = wanted.length ? low.indexOf(wanted[0]!) : 0
    const from = first > 40 ? first - 24 : 0
    const snippet = (from ? '…' : '') + text.slice(from, from + 160)
    const marks = wanted.flatMap(w => { const at = snippet.toLocaleLowerCase().indexOf(w); return at < 0 ? [] : [[at, at + w.length] as const] })
    hits.push({ message: m, conversation: m.conversation, snippet, marks })
  }
  return hits
}
