import type { Account, AccountOptions, ApplicationInfo, Device, Id, KeyValue, Live, LocksLike, Login, Page } from './api.js'
import { Bell, Cell } from './live.js'
import { TroupeError, failure } from './error.js'
import { call, claims, query } from './rest.js'
import { newId, server, systemClock } from './env.js'

export type { Account, AccountOptions, ApplicationInfo, CreateAccount, Device, KeyValue, Login } from './api.js'
export { TroupeError } from './error.js'
export { isFor } from './rest.js'

const key = 'troupe.login'
const early = 15_000 // ms before its end that a token is renewed

/** What is kept of a login. */
interface Kept {
  userId: Id
  name?: string
  device: Id
  kind: Login['kind']
  token: string
  refreshToken: string
  /** By this machine's clock. */
  goodUntil: number
}

class Memory implements KeyValue {
  #m = new Map<string, string>()
  getItem(k: string): string | null { return this.#m.get(k) ?? null }
  setItem(k: string, v: string): void { this.#m.set(k, v) }
  removeItem(k: string): void { this.#m.delete(k) }
}

function place(keep: AccountOptions['keep']): KeyValue {
  if (typeof keep === 'object') return keep
  try {
    const s = keep === 'session' ? globalThis.sessionStorage : keep === 'memory' ? undefined : globalThis.localStorage
    if (s) return s
  } catch { /* not allowed here */ }
  return new Memory()
}

/** How long a token lives, in ms, whatever this machine's clock says: it is told in the token. */
function life(token: string, otherwise: number): number {
  const { iat = 0, exp = 0 } = claims(token)
  return exp > iat ? (exp - iat) * 1000 : Math.max(0, otherwise)
}

/**
 * Signing in and out. The login is kept where `keep` says, its refresh token is traded by one
 * tab at a time. Restoring is asynchronous where the keeping is: `getToken` waits for it.
 */
export function createAccount(o: AccountOptions = {}): Account {
  const env = { fetch: o.fetch ?? ((...a: Parameters<typeof fetch>) => globalThis.fetch(...a)), clock: o.clock ?? systemClock() }
  const { rest } = server(o.endpoint)
  const store = place(o.keep)
  const login = new Cell<Login | null>(new Bell(() => {}), null)
  let kept: Kept | null = null
  let renewing: Promise<string> | null = null

  const take = (k: Kept | null): void => {
    kept = k
    const l = login.value
    if (!k ? l : !l || l.userId !== k.userId || l.device !== k.device || l.name !== k.name) {
      login.set(k && { userId: k.userId, device: k.device, kind: k.kind, ...(k.name && { name: k.name }) })
    }
  }
  const parse = (text: string | null): void => {
    try {
      const k = text ? (JSON.parse(text) as Kept) : null
      take(k?.refreshToken && k.userId ? k : null)
    } catch { take(null) }
  }
  const read = (): Promise<void> | void => {
    const text = store.getItem(key)
    if (text instanceof Promise) return text.then(parse)
    parse(text)
  }
  const restored = read()
  // Another tab signs in or out, or renews.
  if (o.keep !== 'memory') (globalThis as unknown as Partial<Window>).addEventListener?.('storage', e => { if (e.key === key) parse(e.newValue) })

  const adopt = async (f: any, more: { name?: string; kind: Login['kind'] }): Promise<Login> => {
    const name = more.name ?? kept?.name
    const k: Kept = {
      userId: f.userId, device: f.device, kind: more.kind, token: f.token, refreshToken: f.refreshToken,
      goodUntil: env.clock.now() + life(f.token, Date.parse(f.expiresAt) - env.clock.now()), ...(name && { name }),
    }
    await store.setItem(key, JSON.stringify(k)) // the new refresh token is kept before it is used
    take(k)
    return login.value!
  }

  const about = async (): Promise<object> => {
    const { id, kind, version } = o.device ?? {}
    let device = id ?? kept?.device ?? (await store.getItem(key + '.device'))
    if (!device) await store.setItem(key + '.device', (device = newId(env.clock)))
    return { device, platform: kind ?? 'web', ...(version && { version }) }
  }

  const post = async (path: string, body: object, token?: string): Promise<any> => call(env, rest + path, { method: 'POST', body, ...(token && { token }) })
  const mine = async (method: string, path: string, body?: object): Promise<any> => {
    try {
      return await call(env, rest + path, { method, body, token: await getToken() })
    } catch (e) {
      if (failure(e).code !== 'TOKEN_EXPIRED') throw e
      return call(env, rest + path, { method, body, token: await getToken({ reason: 'rejected' }) })
    }
  }

  /** One tab renews at a time; the others find what it was given. */
  const alone = <T>(f: () => Promise<T>): Promise<T> => {
    const locks = (globalThis as { navigator?: { locks?: LocksLike } }).navigator?.locks
    return locks && o.keep !== 'session' && o.keep !== 'memory' ? (locks.request(key, {}, f) as Promise<T>) : f()
  }

  async function renew(old: string): Promise<string> {
    return alone(async () => {
      await read()
      if (!kept) throw new TroupeError('UNAUTHORIZED', 'nobody is signed in')
      if (kept.token !== old && kept.goodUntil > env.clock.now() + early) return kept.token
      try {
        const f = await post('/users/refresh', { refreshToken: kept.refreshToken, device: kept.device })
        await adopt(f, { kind: kept.kind })
        return kept!.token
      } catch (e) {
        const { code } = failure(e)
        if (code === 'UNAUTHORIZED' || code === 'TOKEN_EXPIRED') {
          forget()
          throw new TroupeError('UNAUTHORIZED', 'the login has ended')
        }
        throw e
      }
    })
  }

  async function getToken(why: Parameters<Account['getToken']>[0] = {}): Promise<string> {
    await restored
    if (!kept) throw new TroupeError('UNAUTHORIZED', 'nobody is signed in')
    const { token, goodUntil } = kept
    if ((why.reason ?? 'initial') === 'initial' && goodUntil > env.clock.now() + early) return token
    return (renewing ??= renew(token).finally(() => { renewing = null }))
  }

  function forget(): void {
    void store.removeItem(key)
    take(null)
  }

  const account: Account = {
    login: login as Live<Login | null>,
    getToken,
    forget,
    async signIn(name, password) { return adopt(await post('/users/login', { name, password, ...(await about()) }), { name, kind: 'user' }) },
    async register({ name, password, nickname, code }) {
      return adopt(await post('/users', { name, password, ...(nickname && { nickname }), ...(code && { code }), ...(await about()) }), { name, kind: 'user' })
    },
    async guest(app) { return adopt(await post('/apps/' + encodeURIComponent(app) + '/guests', await about()), { kind: 'guest' }) },
    async exchange(app, token) { return adopt(await post('/apps/' + encodeURIComponent(app) + '/exchange', { token, ...(await about()) }), { kind: 'application' }) },
    async merge({ token }) { await mine('POST', '/users/me/merge', { guestToken: token }) },
    async changePassword(old, next) {
      const token = await getToken()
      // It ends the login that others, here and in other tabs, may be renewing just now: they wait, and find the new one.
      const change = alone(async () => {
        await adopt(await call(env, rest + '/users/me/password', { method: 'PUT', body: { old, new: next }, token }), { kind: 'user' })
        return kept!.token
      })
      renewing = change.catch(() => token).finally(() => { renewing = null })
      await change
    },
    async signOut() {
      try {
        if (kept) await mine('POST', '/users/logout')
      } catch { /* the server ends it by itself */ } finally {
        forget()
      }
    },
    async devices(cursor): Promise<Page<Device>> {
      const f = await mine('GET', '/users/me/devices' + query({ cursor }))
      return {
        items: (f.items ?? []).map((d: any) => ({
          id: d.device, current: !!d.current, ...(d.name && { name: d.name }), ...(d.platform && { platform: d.platform }), ...(d.version && { version: d.version }), ...(d.lastSeenAt && { lastSeenAt: Date.parse(d.lastSeenAt) }),
        })), ...(f.next && { next: f.next }),
      }
    },
    async signOutDevice(id) { await mine('DELETE', '/users/me/devices' + (id ? '/' + encodeURIComponent(id) : '?others=true')) },
    async application(app): Promise<ApplicationInfo> {
      const f = await call(env, rest + '/apps/' + encodeURIComponent(app))
      return { id: f.app, name: f.name ?? '', guests: !!f.guests, colours: f.colours ?? {}, texts: f.texts ?? {}, features: f.features ?? [] }
    },
  }
  return account
}
