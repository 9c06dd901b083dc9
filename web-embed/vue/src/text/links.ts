const allowed = new Set(['http:', 'https:', 'mailto:', 'tel:'])

/** safeHref answers href as it may stand in a link, or nothing: http, https, mailto and tel only. */
export function safeHref(href: string | undefined | null): string | undefined {
  if (!href) return undefined
  const text = href.trim()
  if (/[\u0000-\u0020\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/.test(text)) return undefined
  try {
    const url = new URL(text)
    if (!allowed.has(url.protocol)) return undefined
    if ((url.protocol === 'http:' || url.protocol === 'https:') && (!url.hostname || url.username || url.password)) return undefined
    return url.href
  } catch {
    return undefined
  }
}

export const linkRel = 'noopener noreferrer nofollow ugc'

export type Piece = { t: 'text' | 'link' | 'mention'; text: string; href?: string; user?: string }

// Ends before full-width punctuation and before what closes a sentence around the link.
const urlPattern = /\b(?:https?:\/\/|mailto:|tel:)[^\s<>"'`\u3000-\u303f\uff00-\uffef\u4e00-\u9fff]+/gi

/** pieces cuts a text into text, links and the mentions whose names it has (`@name`). */
export function pieces(text: string, mentions: readonly { user: string; name: string }[] = []): Piece[] {
  const out: Piece[] = []
  let at = 0
  for (const m of text.matchAll(urlPattern)) {
    const raw = m[0].replace(/[.,;:!?)\]}'*_~]+$/, tail => /\)/.test(tail) && m[0].includes('(') ? tail.replace(/[^)]/g, '') : '')
    const href = safeHref(raw)
    if (!href) continue
    if (m.index > at) out.push(...mentioned(text.slice(at, m.index), mentions))
    out.push({ t: 'link', text: raw, href })
    at = m.index + raw.length
  }
  if (at < text.length) out.push(...mentioned(text.slice(at), mentions))
  return out
}

function mentioned(text: string, mentions: readonly { user: string; name: string }[]): Piece[] {
  const names = mentions.filter(m => m.name).sort((a, b) => b.name.length - a.name.length)
  if (names.length === 0) return [{ t: 'text', text }]
  const pattern = new RegExp(names.map(m => '@' + m.name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'), 'g')
  const out: Piece[] = []
  let at = 0
  for (const m of text.matchAll(pattern)) {
    if (m.index > at) out.push({ t: 'text', text: text.slice(at, m.index) })
    out.push({ t: 'mention', text: m[0], user: names.find(n => '@' + n.name === m[0])?.user })
    at = m.index + m[0].length
  }
  if (at < text.length) out.push({ t: 'text', text: text.slice(at) })
  return out
}
