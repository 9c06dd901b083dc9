// What a person means as markdown: a pair of marks, or a line that begins like a block.
const marks = /```|`[^`\n]+`|\*\*[^\s*][^\n]*\*\*|~~[^\s~][^\n]*~~|\[[^\]\n]+\]\([^)\s]+\)|^ {0,3}(?:#{1,6} \S|[-*+] \S|\d{1,3}[.)] \S|> ?\S)|^\|.+\|[ \t]*$/m

/** looksMarkdown says whether a text is worth reading as markdown. */
export const looksMarkdown = (text: string): boolean => marks.test(text)

/** clean takes out of a name what turns the direction of writing or breaks its line. */
export const clean = (name: string): string => name.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, '').trim()

const emojiOnly = /^(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|\p{Regional_Indicator}|[\u200d\ufe0f\u20e3]|\s)+$/u

/** bigEmoji says whether a text is one to three emoji and nothing else: those are shown large. */
export function bigEmoji(text: string): boolean {
  if (text.length > 40 || !emojiOnly.test(text) || !/\p{Extended_Pictographic}|\p{Regional_Indicator}/u.test(text)) return false
  const segments = [...new Intl.Segmenter('en', { granularity: 'grapheme' }).segment(text)].filter(s => s.segment.trim())
  return segments.length <= 3
}

/** middle shortens a file name in its middle, keeping its ending: "季度报告…终稿.pdf". */
export function middle(name: string, max = 28): string {
  const chars = [...name]
  if (chars.length <= max) return name
  const tail = Math.min(12, Math.floor(max / 2))
  return chars.slice(0, max - tail - 1).join('') + '…' + chars.slice(-tail).join('')
}

/** bytes writes a size for people: "1.4 MB". */
export function bytes(n: number, locale: string): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte'] as const
  let i = 0
  while (n >= 1000 && i < units.length - 1) { n /= 1000; i++ }
  return new Intl.NumberFormat(locale, { style: 'unit', unit: units[i], unitDisplay: i ? 'short' : 'narrow', maximumFractionDigits: n < 10 && i ? 1 : 0 }).format(n)
}

/** clock writes a length of time: 75000 ms is "1:15". */
export function clock(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000))
  const rest = String(s % 60).padStart(2, '0')
  return s < 3600 ? `${Math.floor(s / 60)}:${rest}` : `${Math.floor(s / 3600)}:${String(Math.floor(s / 60) % 60).padStart(2, '0')}:${rest}`
}

/** initials are the one or two characters a face without a picture shows. */
export function initials(name: string): string {
  const chars = [...clean(name)]
  if (chars.length === 0) return '?'
  if (/\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}/u.test(chars[0]!)) {
    const cjk = chars.filter(c => /\p{L}/u.test(c))
    return cjk.length > 2 && cjk.length <= 4 ? cjk.slice(-2).join('') : cjk.slice(0, 2).join('')
  }
  const words = clean(name).split(/[\s._-]+/).filter(Boolean)
  const first = [...(words[0] ?? '?')][0]!
  const second = words.length > 1 ? [...words[words.length - 1]!][0]! : ''
  return (first + (/\p{L}/u.test(second) ? second : '')).toLocaleUpperCase()
}

/** hue is a stable angle of the colour circle for an id. */
export function hue(id: string): number {
  let x = 2166136261
  for (let i = 0; i < id.length; i++) x = Math.imul(x ^ id.charCodeAt(i), 16777619)
  return (x >>> 0) % 360
}
