import { createClient, type TroupeClient } from '@troupe/client'
import { createAccount, type Account, type KeyValue } from '@troupe/client/account'

/** Somebody who is signed in on this page. */
export interface Person { account: Account; client: TroupeClient; id: string }

/** sessionStorage under a name: the two made-up people live as long as this tab. */
const place = (who: string): KeyValue => ({
  getItem: k => sessionStorage.getItem(who + '.' + k),
  setItem: (k, v) => { sessionStorage.setItem(who + '.' + k, v) },
  removeItem: k => { sessionStorage.removeItem(who + '.' + k) },
})

/** The made-up person who was there before a reload, or (with `make`) a new one, where anybody may register. */
export async function madeUp(who: string, nickname: string, make: boolean): Promise<Person | null> {
  const account = createAccount({ keep: place(who) })
  if (!account.login.value) {
    if (!make) return null
    const random = Array.from(crypto.getRandomValues(new Uint8Array(8)), b => b.toString(36)).join('')
    await account.register({ name: `${who}-${random}`, nickname, password: random + crypto.randomUUID() })
  }
  return person(account)
}

/** Who is signed in on the page at /. */
export function signedIn(): Promise<Person> | null {
  const account = createAccount()
  return account.login.value ? person(account) : null
}

async function person(account: Account): Promise<Person> {
  const id = account.login.value!.userId
  const client = createClient({ userId: id, app: 'playground', getToken: why => account.getToken(why), tabs: false, storage: 'memory' })
  client.connect()
  await client.ready()
  return { account, client, id }
}
