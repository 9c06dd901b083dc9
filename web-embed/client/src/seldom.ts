import { failure } from './error.js'

type Acts = typeof import('./acts.js')
const load = (): Promise<Acts> => import('./acts.js')

/** What people do now and then, loaded when the first of it is done: all of it gives promises. */
export const a: Acts = new Proxy({} as Acts, {
  get: (_, name: keyof Acts) => (...args: unknown[]) => load().then(m => (m[name] as (...args: unknown[]) => unknown)(...args), e => { throw failure(e) }),
})

/** Loads it ahead, so that it is there when the network is not; and what takes in what bots write. */
export function ahead(): void {
  for (const part of [load(), import('./drafts.js')]) part.catch(() => {})
}
