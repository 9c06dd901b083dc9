/** What the host answers when it does not do what a bot wants. */
export class BotError extends Error {
  constructor(code, detail = '', retryAfter = 0) {
    super(detail ? `${code}: ${detail}` : code)
    this.name = 'BotError'
    this.code = code
    this.detail = detail
    this.retryAfter = retryAfter // in milliseconds, 0: the host does not say
  }
}

/** An error's code; INTERNAL where it is not a host's. */
export const codeOf = (err) => (err instanceof BotError ? err.code : 'INTERNAL')

const dropped = Symbol('dropped')

/** Marks an error so that the event does not come again. */
export function drop(err) {
  const e = err instanceof Error ? err : new Error(String(err))
  e[dropped] = true
  return e
}

/** Marks an error so that the event comes again, not before ms milliseconds have passed. */
export function retryIn(ms, err) {
  const e = new BotError('BUSY', err instanceof Error ? err.message : String(err), ms)
  e.cause = err
  return e
}

// The codes that the same call gets again, however often it is made.
const hopeless = new Set([
  'BAD_REQUEST', 'UNAUTHORIZED', 'DENIED', 'NOT_FOUND', 'TOO_LARGE', 'OUT_OF_RANGE',
  'UNSUPPORTED', 'WINDOW_OVER', 'TOO_MANY', 'BLOCKED', 'EXPIRED',
])

/** How a function ended, as the host is told. */
export function ackOf(event, err) {
  if (err === undefined) return { event }
  const e = err instanceof Error ? err : new Error(String(err))
  return {
    event,
    error: clean(e.message || e.name || 'an error without a text'),
    drop: Boolean(e[dropped]) || hopeless.has(e.code),
    retryAfterMs: e instanceof BotError ? e.retryAfter : 0,
  }
}

/** A text as the wire takes it: no halves of letters. */
export const clean = (text) => String(text ?? '').toWellFormed()
