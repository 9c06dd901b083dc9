import type { ClientOptions, TroupeClient } from './api.js'
import { Core } from './core.js'

export type * from './api.js'
export { TroupeError } from './error.js'
export { MemoryStorage } from './store.js'

/** Makes a client. It does nothing before `connect`. */
export function createClient(o: ClientOptions): TroupeClient { return new Core(o) }
