/** What is being typed behind an @, and from where; nothing where there is none. An address is no mention. */
export function mentionAt(text: string, caret: number): { from: number; begin: string } | null {
  const m = /(?:^|[^A-Za-z0-9._@-])@([^\s@]{0,24})$/.exec(text.slice(0, caret))
  return m ? { from: caret - m[1]!.length - 1, begin: m[1]! } : null
}

export interface Named { readonly user: string; readonly name: string }

/** mentioned gives those of `picked` that still stand in the text. */
export function mentioned(text: string, picked: readonly Named[]): string[] {
  return [...new Set(picked.filter(p => text.includes(`@${p.name}`)).map(p => p.user))]
}
