import type { Account } from '@troupe/client/account'
import { asker } from './ask'
import { botWords } from './bot-words'
import { heldWords } from './held-words'

/** What an administrator has more of in the menu than others; null: this is none. */
export async function adminMenu(account: Account) {
  const me = await asker(account)('GET', '/users/me').catch(() => ({}))
  return me.admin ? (locale: string) => [
    { key: 'bots', label: botWords(locale)('bots'), icon: 'spark' as const },
    { key: 'held', label: heldWords(locale)('held'), icon: 'clock' as const },
  ] : null
}
