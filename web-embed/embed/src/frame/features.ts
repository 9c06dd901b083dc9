const optional = ['files', 'voice', 'emoji', 'reactions', 'edit', 'revoke', 'calls', 'search', 'contacts', 'typing', 'receipts', 'forward', 'groups', 'markdown'] as const
type Feature = (typeof optional)[number]

/** What an anonymous visitor may not do in any case, and so is not shown. */
const notForGuests: readonly Feature[] = ['search', 'contacts', 'groups', 'forward']

/** featuresOf brings together what the application has, what the page wants, and what the user may. The page takes away, and adds nothing. */
export function featuresOf(app: readonly string[] | undefined, page: Record<string, boolean> | undefined, guest: boolean): Partial<Record<Feature, boolean>> {
  const all: Partial<Record<Feature, boolean>> = {}
  for (const f of optional) {
    if (app?.length && !app.includes(f)) all[f] = false
    if (page?.[f] === false || (guest && notForGuests.includes(f))) all[f] = false
    else if (page?.[f] === true && all[f] !== false) all[f] = true
  }
  return all
}
