import { shallowRef } from 'vue'

type Markdown = typeof import('./markdown')
/** Undefined until it was needed: it is a chunk of its own. */
export const markdownModule = shallowRef<Markdown>()
let under: Promise<Markdown> | undefined

export function loadMarkdown(): Promise<Markdown> {
  return under ??= import('./markdown').then(m => markdownModule.value = m, e => { under = undefined; throw e })
}
