import { createAccount, isFor, TroupeError, type Account, type KeyValue } from '@troupe/client/account'
import type { TokenRequest, TroupeClient } from '@troupe/client'

/**
 * What `getToken` of a page gives: a token that its back end signed for the application (docs/identity.md), an
 * access token of ours, or nothing where nobody is signed in.
 */
export type PageToken = (why: { reason: TokenRequest['reason']; signal: AbortSignal }) => Promise<string | null | undefined> | string | null | undefined

export interface Identity {
  getToken(why: TokenRequest): Promise<string>
  /** An anonymous visitor; known after the first token. */
  readonly guest: boolean
  /** Ends the login, and forgets who was here. */
  signOut(): Promise<void>
}

/**
 * identity turns what a page knows of its visitor into access tokens. A token that is signed for the application is
 * traded once; from then on the login renews itself, in memory alone. Without one, and where the application takes
 * visitors, somebody without a name comes in: only that login is kept, as nobody else could give it back. When such a
 * visitor turns out to be somebody, what was said under no name stays with them.
 */
export function identity(o: { app: string; endpoint?: string; device: string; page?: PageToken; guests: boolean }): Identity {
  const device = { id: o.device, kind: 'web' as const }
  const endpoint = o.endpoint === undefined ? {} : { endpoint: o.endpoint }
  const login: Account = createAccount({ ...endpoint, device, keep: 'memory' })
  let visitor: Account | undefined
  let guest = false

  // Other tabs of the same visitor renew it too, so what is kept is looked at anew each time.
  const asVisitor = (): Account => (visitor ??= createAccount({ ...endpoint, device: { ...device, id: device.id + '-v' }, keep: shelf('troupe.visitor.' + o.app + '.') }))

  async function visit(why: TokenRequest): Promise<string> {
    guest = true
    const account = asVisitor()
    try {
      return await account.getToken(why)
    } catch (e) {
      if ((e as TroupeError).code !== 'UNAUTHORIZED') throw e
      await account.guest(o.app)
      return account.getToken({ reason: 'initial' })
    }
  }

  async function getToken(why: TokenRequest): Promise<string> {
    if (login.login.value && !(why.reason === 'rejected' && guest)) {
      try {
        return await login.getToken(why)
      } catch (e) {
        if ((e as TroupeError).code !== 'UNAUTHORIZED') throw e // the login has ended, and the page may know of another
      }
    }
    const token = (await o.page?.(why)) || ''
    if (!token) {
      if (o.guests) return visit(why)
      throw new TroupeError('UNAUTHORIZED', 'nobody is signed in on the page')
    }
    guest = false
    if (!isFor(token, o.app)) return token
    await login.exchange(o.app, token)
    await merge().catch(() => {}) // what was said without a name stays where it is
    return login.getToken({ reason: 'initial' })
  }

  async function merge(): Promise<void> {
    const account = asVisitor()
    let token: string
    try {
      token = await account.getToken()
    } catch {
      return // nobody was here before
    }
    await login.merge({ token })
    account.forget()
  }

  return {
    getToken,
    get guest() { return guest },
    async signOut() {
      await Promise.all([login.signOut(), asVisitor().signOut()])
    },
  }
}

/** shelf is localStorage under names of one's own; memory where there is none. */
export function shelf(prefix: string): KeyValue {
  const kept = new Map<string, string>()
  const use = <T>(f: (s: Storage) => T, otherwise: () => T): T => {
    try {
      return f(localStorage)
    } catch {
      return otherwise()
    }
  }
  return {
    getItem: k => use(s => s.getItem(prefix + k), () => kept.get(k) ?? null),
    setItem: (k, v) => use(s => s.setItem(prefix + k, v), () => { kept.set(k, v) }),
    removeItem: k => use(s => s.removeItem(prefix + k), () => { kept.delete(k) }),
  }
}

/** deviceId is this browser's name for itself, the same at each visit. It says nothing and opens nothing. */
export function deviceId(): string {
  const s = shelf('troupe.')
  let id = s.getItem('device') as string | null
  if (!id) s.setItem('device', (id = crypto.randomUUID?.() ?? Array.from(crypto.getRandomValues(new Uint8Array(16)), b => b.toString(16).padStart(2, '0')).join('')))
  return id
}

/** ownName is who speaks here, as the server has it: at the beginning it may not have come yet. */
export async function ownName(client: TroupeClient): Promise<string> {
  const me = client.me
  const [fresh] = me ? await client.users.load([me.id]) : []
  return fresh?.nickname ?? me?.nickname ?? ''
}
