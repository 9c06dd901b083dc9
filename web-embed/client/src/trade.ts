import type { Account } from './api.js'
import type { Core } from './core.js'
import { createAccount } from './account.js'

/** Signs in with a token that a back end signed for the application. Its login is kept nowhere. */
export async function trade({ o, env, device }: Core, token: string): Promise<Account> {
  const account = createAccount({ endpoint: env.servers[0]!, device: { ...o.device, id: device }, keep: 'memory', fetch: env.fetch, clock: env.clock })
  await account.exchange(o.app!, token)
  return account
}
