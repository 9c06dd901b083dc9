// Who is signed in, and the REST calls that need it. The login lives in
// sessionStorage: two windows can be two people, and a reload keeps who one is.

const KEY = 'troupe.login'

/** Failure is an answer that says no: a code for programs, a message for people. */
export class Failure extends Error {
  constructor(code, message, retryAfterMs = 0) {
    super(message)
    this.code = code
    this.retryAfterMs = retryAfterMs
  }
}

/** call does one REST request and gives the body of its answer. */
async function call(method, path, body, token) {
  let res
  try {
    res = await fetch('/api/v2' + path, {
      method, cache: 'no-store', credentials: 'omit',
      headers: { ...(body && { 'Content-Type': 'application/json' }), ...(token && { Authorization: 'Bearer ' + token }) },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(20000),
    })
  } catch (e) {
    throw new Failure('OFFLINE', String(e))
  }
  const text = await res.text().catch(() => '')
  let data = {}
  try { data = text ? JSON.parse(text) : {} } catch { /* a proxy's page */ }
  if (!res.ok) {
    const code = data.code || (res.status >= 500 ? 'OFFLINE' : 'INTERNAL')
    throw new Failure(code, data.detail || data.title || res.statusText, (Number(res.headers.get('Retry-After')) || 0) * 1000)
  }
  const date = Date.parse(res.headers.get('Date') || '')
  return { data, serverTime: Number.isNaN(date) ? Date.now() : date }
}

export class Account {
  /** restore gives the account this window was signed in with, or null. */
  static restore() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(KEY))
      return kept?.refreshToken ? new Account(kept) : null
    } catch { return null }
  }

  static async login(name, password) {
    return new Account({}).granted(await call('POST', '/users/login', { name, password, platform: 'web' }), { name })
  }

  static async register(name, password, nickname, code) {
    const body = { name, password, platform: 'web', ...(nickname && { nickname }), ...(code && { code }) }
    return new Account({}).granted(await call('POST', '/users', body), { name, nickname: nickname || name })
  }

  constructor(kept) { Object.assign(this, kept) }

  granted({ data, serverTime }, more = {}) {
    const life = Date.parse(data.expiresAt) - serverTime
    Object.assign(this, more, {
      userId: data.userId, token: data.token, refreshToken: data.refreshToken, device: data.device,
      renewAt: Date.now() + life * 0.8, goodUntil: Date.now() + life,
    })
    this.keep()
    return this
  }

  keep() {
    const { name, nickname, userId, token, refreshToken, device, renewAt, goodUntil } = this
    sessionStorage.setItem(KEY, JSON.stringify({ name, nickname, userId, token, refreshToken, device, renewAt, goodUntil }))
  }

  /** fresh gives a token that lives for a while. It fails with UNAUTHORIZED when the login has ended. */
  async fresh() {
    if (Date.now() >= this.goodUntil - 15000) await this.refresh()
    return this.token
  }

  /** refresh trades the refresh token in; whoever asks meanwhile waits for the same answer. */
  refresh() {
    this.refreshing ??= call('POST', '/users/refresh', { refreshToken: this.refreshToken, device: this.device })
      .then(a => this.granted(a))
      .finally(() => { this.refreshing = null })
    return this.refreshing
  }

  /** call does a REST request as this user. */
  async call(method, path, body) {
    try {
      return (await call(method, path, body, await this.fresh())).data
    } catch (e) {
      if (e.code !== 'TOKEN_EXPIRED' && e.code !== 'UNAUTHORIZED') throw e
      await this.refresh()
      return (await call(method, path, body, this.token)).data
    }
  }

  async logout() {
    const token = this.token
    this.forget()
    await call('POST', '/users/logout', undefined, token).catch(() => {})
  }

  forget() {
    sessionStorage.removeItem(KEY)
    sessionStorage.removeItem('troupe.outbox')
  }
}
