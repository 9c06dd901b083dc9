import type { Json } from './api.js'
import type { Env } from './env.js'
import type { Tokens } from './tokens.js'
import { TroupeError, failure } from './error.js'

const patience = 30_000 // ms

/** One REST request without a token's care: gives the body of its answer. */
export async function call(env: { fetch: typeof fetch }, url: string, o: { method?: string; body?: unknown; token?: string; signal?: AbortSignal | undefined } = {}): Promise<any> {
  const { method = 'GET', body, token, signal } = o
  const stop = new AbortController()
  const timer = setTimeout(() => stop.abort(), patience)
  const abort = (): void => stop.abort()
  signal?.addEventListener('abort', abort)
  if (signal?.aborted) abort()
  const form = typeof FormData !== 'undefined' && body instanceof FormData
  try {
    const res = await env.fetch(url, {
      method, cache: 'no-store', credentials: 'omit', signal: stop.signal,
      headers: { ...(body !== undefined && !form && { 'Content-Type': 'application/json' }), ...(token && { Authorization: 'Bearer ' + token }) },
      ...(body !== undefined && { body: form ? (body as FormData) : JSON.stringify(body) }),
    })
    const text = await res.text()
    let data: any
    try { data = text ? JSON.parse(text) : {} } catch { /* a proxy's page */ }
    if (res.ok) return data ?? {}
    throw new TroupeError(data?.code ?? (res.status >= 500 ? 'BUSY' : 'INTERNAL'), data?.detail ?? data?.title ?? res.statusText,
      data?.retryAfterMs ?? ((Number(res.headers.get('Retry-After')) || 0) * 1000 || undefined), data?.fields as Json)
  } catch (e) {
    if (stop.signal.aborted && !signal?.aborted) throw new TroupeError('TIMEOUT')
    throw failure(e)
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

/** REST as the one who is signed in. */
export class Rest {
  constructor(readonly env: Env, readonly tokens: Tokens) {}

  get base(): string { return this.env.servers[0]!.rest }

  async call(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<any> {
    for (let again = false; ; again = true) {
      const token = await this.tokens.get(again ? 'rejected' : 'initial')
      try {
        return await call(this.env, this.base + path, { method, body, token, signal })
      } catch (e) {
        if (again || !['TOKEN_EXPIRED', 'UNAUTHORIZED'].includes((e as TroupeError).code)) throw e
      }
    }
  }
}

/** query makes `?a=1&b=2` of what is there. */
export function query(o: Record<string, string | number | boolean | undefined>): string {
  const q = Object.entries(o).filter(([, v]) => v !== undefined && v !== '').map(([k, v]) => k + '=' + encodeURIComponent(String(v)))
  return q.length ? '?' + q.join('&') : ''
}

/** What a JWT says, read and not checked; nothing where it is none. */
export function claims(token: string): { iat?: number; exp?: number; aud?: unknown } {
  try {
    return JSON.parse(atob(token.split('.')[1]!.replace(/-/g, '+').replace(/_/g, '/'))) ?? {}
  } catch { return {} }
}

/** isFor says whether a back end signed a token for this application. */
export const isFor = (token: string, app: string | undefined): boolean => !!app && [claims(token).aud].flat().includes(app)
