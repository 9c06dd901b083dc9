import { createLowlight } from 'lowlight'
import { h, type VNode } from 'vue'

// Each language is a chunk of its own: a page with Go in it loads Go.
const languages = {
  bash: () => import('highlight.js/lib/languages/bash'), css: () => import('highlight.js/lib/languages/css'), go: () => import('highlight.js/lib/languages/go'),
  javascript: () => import('highlight.js/lib/languages/javascript'), json: () => import('highlight.js/lib/languages/json'), python: () => import('highlight.js/lib/languages/python'),
  sql: () => import('highlight.js/lib/languages/sql'), typescript: () => import('highlight.js/lib/languages/typescript'), xml: () => import('highlight.js/lib/languages/xml'), yaml: () => import('highlight.js/lib/languages/yaml'),
}
type Name = keyof typeof languages
const other: Record<string, Name> = {
  sh: 'bash', shell: 'bash', zsh: 'bash', console: 'bash', js: 'javascript', jsx: 'javascript', mjs: 'javascript', ts: 'typescript', tsx: 'typescript',
  html: 'xml', vue: 'xml', svg: 'xml', yml: 'yaml', py: 'python', golang: 'go',
}
const lowlight = createLowlight()

interface Node { type: string; value?: string; properties?: { className?: readonly string[] }; children?: readonly Node[] }

/** highlight gives a code's text in coloured pieces; nothing for a language it does not know. */
export async function highlight(text: string, lang: string): Promise<(VNode | string)[] | undefined> {
  const name = other[lang.toLowerCase()] ?? lang.toLowerCase()
  if (!Object.hasOwn(languages, name)) return undefined
  if (!lowlight.registered(name)) lowlight.register(name, (await languages[name as Name]()).default)
  return (lowlight.highlight(name, text).children as readonly Node[]).map(vnode)
}

function vnode(n: Node): VNode | string {
  if (n.type === 'text') return n.value ?? ''
  return h('span', { class: n.properties?.className?.join(' ') }, n.children?.map(vnode))
}
