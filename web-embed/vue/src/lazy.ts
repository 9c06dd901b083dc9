import { defineAsyncComponent, ref, type Component } from 'vue'

let load = (): Promise<unknown> => Promise.resolve()
let style: Promise<unknown> | undefined
/** A host that loads `first.css` alone says how `rest.css` comes; with `style.css` nothing has to be said. */
export function restOfStyle(how: () => Promise<unknown>): void { load = how; style = undefined }
/** styled waits for the styles of what is not seen at first. */
export const styled = (): Promise<unknown> => (style ??= load().catch(() => { style = undefined }))

/** A part could not be loaded although there is a network: most likely the server has a newer version. */
export const stale = ref(false)

/** lazy is a component that comes when it is needed, with its style. Without a network it comes when there is one. */
export function lazy<T extends Component>(part: () => Promise<{ default: T }>): T {
  return defineAsyncComponent({
    loader: () => Promise.all([part(), styled()]).then(([m]) => m),
    onError(_, retry, fail, attempts) {
      if (navigator.onLine === false) addEventListener('online', retry, { once: true })
      else if (attempts < 3) setTimeout(retry, 700 * attempts)
      else { stale.value = true; fail() }
    },
  }) as T
}
