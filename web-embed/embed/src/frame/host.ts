import { fits, fromHost, HELLO, INIT, talk, V, type FrameOptions, type Said } from '../loader/wire'

/** What the server wrote into our page. */
export interface FrameConfig {
  app: string
  name: string
  origins: string[]
  self?: boolean
  colours?: Record<string, string>
  texts?: Record<string, string>
  features?: string[]
  guests: boolean
}

/** The page that we are in, once both have shown who they are. */
export interface Host {
  readonly origin: string
  readonly options: FrameOptions
  say(m: Said): void
  /** Listens to one kind of message; `f` gives the way it is spoken. */
  on(t: string, f: (m: Said) => void): void
  /** Asks for a token; empty: nobody is signed in on the page. */
  token(reason: string, signal?: AbortSignal): Promise<string>
}

/** What the page said about a token that it could not give. */
export class NoToken extends Error {
  constructor(text: string, readonly code: string) { super(text) }
}

/** A page that says nothing for so long is one that may not have us, or that does not know how to speak. */
const PATIENCE = 1500
/** What a page's own server may take to sign a token. */
const TOKEN_WITHIN = 20_000

/**
 * meet says hello to the page around us, and waits for its answer: once, from our parent, from an origin of the
 * application. `slow` is called when it takes long. A page that comes late is still met.
 */
export function meet(config: FrameConfig, slow: () => void): Promise<Host> {
  return new Promise(resolve => {
    const timer = setTimeout(slow, PATIENCE)
    const answered = ({ source, origin, data, ports }: MessageEvent) => {
      const known = config.origins.includes(origin) || (config.self && origin === location.origin)
      if (source !== parent || !known || !fits(data) || data.t !== INIT || data.v !== V || ports.length !== 1) return
      removeEventListener('message', answered)
      clearTimeout(timer)
      resolve(hosted(origin, (data.opts ?? {}) as FrameOptions, ports[0]!))
    }
    addEventListener('message', answered)
    // It carries nothing, so whoever hears it learns nothing.
    if (parent !== window) parent.postMessage({ t: HELLO, v: V }, '*')
  })
}

function hosted(origin: string, options: FrameOptions, port: MessagePort): Host {
  const listeners = new Map<string, (m: Said) => void>()
  const asked = new Map<unknown, { resolve(token: string): void; reject(e: Error): void }>()
  let ids = 0
  const say = talk(port, fromHost, m => {
    if (m.t === 'token.reply') {
      const it = asked.get(m.id)
      asked.delete(m.id)
      if (typeof m.token === 'string') it?.resolve(m.token)
      else it?.reject(new NoToken(String(m.error), String(m.code)))
    } else listeners.get(m.t)?.(m)
  })
  return {
    origin, options, say,
    on: (t, f) => { listeners.set(t, f) },
    token: (reason, signal) => new Promise((resolve, reject) => {
      const id = ++ids
      const end = (e: Error) => { asked.delete(id); reject(e) }
      const timer = setTimeout(() => end(new NoToken('the page gave no token in time', 'TIMEOUT')), TOKEN_WITHIN)
      const settle = <T>(f: (v: T) => void) => (v: T) => { clearTimeout(timer); f(v) }
      asked.set(id, { resolve: settle(resolve), reject: settle(reject) })
      signal?.addEventListener('abort', () => { clearTimeout(timer); end(new NoToken('given up', 'CANCELLED')) })
      say({ t: 'token.request', id, reason })
    }),
  }
}

/** What the server wrote into the page for us. */
export function pageConfig<T>(): T {
  return JSON.parse(document.getElementById('troupe-config')!.textContent!) as T
}
