// What a page and our frame in it say to each other. Both sides are built from this file.

/** The version of the handshake; another one is not listened to. */
export const V = 1
export const HELLO = 'troupe:hello'
export const INIT = 'troupe:init'

/** A message is at most this long as JSON, and at most so many come in a second; what is over is dropped. */
export const MAX_BYTES = 65536
export const MAX_A_SECOND = 50

export type Said = { t: string; [field: string]: unknown }

/** Options that a page may give, and may change while the frame is there. */
export interface FrameOptions {
  layout?: string
  theme?: string
  locale?: string
  density?: string
  accent?: string
  conversation?: string | { user: string }
  features?: Record<string, boolean>
  messages?: Record<string, string>
  composer?: Record<string, unknown>
  readonly?: boolean
  /** The page gives tokens when asked. */
  tokens?: boolean
  /** It is on the screen. */
  open?: boolean
  context?: unknown
}

/** What the frame may say. */
export const fromFrame = 'token.request ready unread open close title navigate conversation logout error message'
/** What the page may say. */
export const fromHost = 'token.reply update open close theme locale conversation context logout'

/**
 * talk listens on a port to the kinds of messages in `known`, within the bounds above, and gives the way to
 * speak. What is unknown, too long or too much is dropped without a word.
 */
export function talk(port: MessagePort, known: string, on: (m: Said) => void): (m: Said) => void {
  const kinds = known.split(' ')
  let second = 0
  let count = 0
  port.onmessage = ({ data }) => {
    const now = Math.floor(performance.now() / 1000)
    if (now !== second) {
      second = now
      count = 0
    }
    if (++count > MAX_A_SECOND || !fits(data) || !kinds.includes(data.t)) return
    on(data)
  }
  return m => { if (fits(m)) port.postMessage(m) }
}

/** fits says whether something is a message at all, and short enough. */
export function fits(m: unknown): m is Said {
  try {
    return !!m && typeof (m as Said).t === 'string' && JSON.stringify(m).length <= MAX_BYTES
  } catch { // what is no JSON
    return false
  }
}
