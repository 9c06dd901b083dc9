import type { ClientOptions, Clock, Endpoint, NetSource, WebSocketConstructor } from './api.js'
import { TroupeError } from './error.js'

/** What the world around gives: injected, or found when a client is made. */
export interface Env {
  clock: Clock
  net: NetSource
  WebSocket: WebSocketConstructor
  fetch: typeof globalThis.fetch
  servers: readonly { ws: string; rest: string }[]
}

type World = typeof globalThis & { location?: Location; document?: Document }

const world = (): World => globalThis

export function systemClock(): Clock {
  const g = world()
  return {
    now: () => Date.now(),
    setTimeout: (f, ms) => g.setTimeout(f, ms),
    clearTimeout: t => g.clearTimeout(t as number),
    random: () => Math.random(),
  }
}

/** Where an endpoint's WebSocket and REST are; without one, where this page is from. */
export function server(e: Endpoint | undefined): { ws: string; rest: string } {
  if (typeof e === 'object') return { ws: e.ws, rest: e.rest.replace(/\/$/, '') }
  const base = (e ?? world().location?.origin ?? '').replace(/\/$/, '')
  if (!/^https?:\/\//.test(base)) throw new TroupeError('BAD_REQUEST', 'endpoint: an address like https://im.example.com is needed')
  return { ws: base.replace(/^http/, 'ws') + '/ws', rest: base + '/api/v2' }
}

export function environment(o: ClientOptions): Env {
  const g = world()
  const socket = o.WebSocket ?? (g.WebSocket as unknown as WebSocketConstructor | undefined)
  if (!socket) throw new TroupeError('UNSUPPORTED', 'there is no WebSocket here: give one')
  const list = Array.isArray(o.endpoint) ? (o.endpoint as Endpoint[]) : [o.endpoint as Endpoint | undefined]
  return {
    clock: o.clock ?? systemClock(),
    net: o.net ?? pageNet(),
    WebSocket: socket,
    fetch: o.fetch ?? ((...a) => g.fetch(...a)),
    servers: list.map(server),
  }
}

/** pageNet listens to a browser's page; elsewhere there is always a network and a viewer. */
function pageNet(): NetSource {
  const g = world()
  const doc = g.document
  return {
    get online() { return g.navigator?.onLine !== false },
    get visible() { return doc?.visibilityState !== 'hidden' },
    subscribe(f) {
      if (!doc || !g.addEventListener) return () => {}
      const hear: [EventTarget, string, () => void][] = [
        [g, 'online', () => f('online')],
        [g, 'offline', () => f('offline')],
        [g, 'pageshow', () => f('wake')],
        [g, 'pagehide', () => f('hide')],
        [doc, 'resume', () => f('wake')],
        [doc, 'visibilitychange', () => { if (doc.visibilityState === 'visible') f('wake') }],
      ]
      for (const [t, k, h] of hear) t.addEventListener(k, h)
      return () => { for (const [t, k, h] of hear) t.removeEventListener(k, h) }
    },
  }
}

/** newId makes a UUIDv7: ids of one device sort as they were made. */
export function newId(clock: Clock): string {
  const b = new Uint8Array(16)
  const c = world().crypto
  if (c?.getRandomValues) c.getRandomValues(b)
  else for (let i = 0; i < 16; i++) b[i] = clock.random() * 256
  const now = clock.now()
  for (let i = 0; i < 6; i++) b[i] = Math.floor(now / 2 ** (40 - 8 * i))
  b[6] = (b[6]! & 15) | 0x70
  b[8] = (b[8]! & 63) | 0x80
  return [...b].map((x, i) => ([4, 6, 8, 10].includes(i) ? '-' : '') + x.toString(16).padStart(2, '0')).join('')
}
