import type { Code, Json, TroupeError as Failure } from './api.js'

const again = ['NETWORK', 'TIMEOUT', 'OFFLINE', 'BUSY', 'RATE_LIMITED', 'INTERNAL', 'GOAWAY', 'TOO_SLOW', 'IDLE', 'STORAGE']

/** What went wrong: `code` for programs, `message` for people. */
export class TroupeError extends Error implements Failure {
  override readonly name = 'TroupeError'
  readonly retryable: boolean
  constructor(readonly code: Code, message: string = code, readonly retryAfterMs?: number, readonly details?: Json) {
    super(message)
    this.retryable = again.includes(code)
  }
}

/** Whatever was thrown, as a TroupeError. */
export function failure(e: unknown, code: Code = 'NETWORK'): TroupeError {
  if (e instanceof TroupeError) return e
  const told = e as { code?: unknown; name?: string; message?: string } | null
  if (told?.name === 'AbortError') return new TroupeError('CANCELLED')
  // An error of another copy of this module, or of a getToken that says its code.
  if (typeof told?.code === 'string' && /^[A-Z_]+$/.test(told.code)) code = told.code as Code
  return new TroupeError(code, told?.message ?? String(e))
}
