import type { Command, CommandArgument } from '@troupe/client'

/** What is being typed of a command: its name's beginning, or the command and which of its arguments the caret is in. */
export type Calling =
  | { readonly t: 'name'; readonly begin: string }
  | { readonly t: 'args'; readonly name: string; readonly typed: string }

/** callingAt reads a text up to the caret; null: it calls nothing. Only a text that begins with / does. */
export function callingAt(text: string, caret: number): Calling | null {
  const head = text.slice(0, caret)
  const m = /^\/([A-Za-z0-9@._-]*)(\s[^]*)?$/.exec(head)
  if (!m) return null
  return m[2] === undefined ? { t: 'name', begin: m[1]! } : { t: 'args', name: m[1]!, typed: m[2].slice(1) }
}

export const find = (list: readonly Command[], name: string): Command | undefined => list.find(c => c.call === name.toLowerCase()) ?? list.find(c => c.name === name.toLowerCase())

interface Piece { readonly arg: CommandArgument; readonly value: string }
/** split gives what was typed to the arguments, in order: words, the last text as far as the line goes; "…" keeps words together. */
export function split(args: readonly CommandArgument[], typed: string): { pieces: Piece[]; at: number } {
  const pieces: Piece[] = []
  let rest = typed.replace(/^\s+/, ''), at = 0
  for (const [i, arg] of args.entries()) {
    at = i
    if (!rest) break
    if (arg.type === 'text') { pieces.push({ arg, value: rest.trimEnd() }); rest = ''; break }
    const m = /^(?:["“”]([^"“”]*)["“”]|(\S+))(\s+)?/.exec(rest)!
    pieces.push({ arg, value: m[1] ?? m[2]! })
    rest = rest.slice(m[0].length)
    if (!rest && m[3] === undefined) break
    if (!rest && i + 1 < args.length) { at = i + 1; break }
  }
  return { pieces, at }
}
