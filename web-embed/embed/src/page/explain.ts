import type { TroupeError } from '@troupe/client'
import type { Words } from './words'

/** explain says to people what went wrong. A refusal has another meaning for each thing that was tried. */
export function explain(error: unknown, t: Words, at: 'login' | 'register' | 'code' | 'password' | 'other'): string {
  const e = error as Partial<TroupeError>
  switch (e.code) {
    case 'RATE_LIMITED': return t('error.limited', { n: Math.max(1, Math.ceil((e.retryAfterMs ?? 10_000) / 1000)) })
    case 'NETWORK': case 'TIMEOUT': case 'OFFLINE': case 'BUSY': return t('error.offline')
    case 'UNAUTHORIZED': return t(at === 'password' ? 'error.old' : at === 'code' ? 'error.code' : 'error.login')
    case 'CONFLICT': return t('error.taken')
    case 'DENIED':
      if (at === 'login') return t('error.disabled')
      if (at === 'password') return t('error.old')
      return t(at === 'code' ? 'error.code' : 'error.policy')
    case 'EXPIRED': case 'NOT_FOUND': if (at === 'code') return t('error.code')
  }
  return t('error.other', { text: e.message ?? String(error) })
}
