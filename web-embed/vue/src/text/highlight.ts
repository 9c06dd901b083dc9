import { createLowlight } from 'lowlight'
import bash from 'highlight.js/lib/languages/bash'
import css from 'highlight.js/lib/languages/css'
import go from 'highlight.js/lib/languages/go'
import javascript from 'highlight.js/lib/languages/javascript'
import json from 'highlight.js/lib/languages/json'
import python from 'highlight.js/lib/languages/python'
import sql from 'highlight.js/lib/languages/sql'
import typescript from 'highlight.js/lib/languages/typescript'
import xml from 'highlight.js/lib/languages/xml'
import yaml from 'highlight.js/lib/languages/yaml'
import { h, type VNode } from 'vue'

const lowlight = createLowlight({ bash, css, go, javascript, json, python, sql, typescript, xml, yaml })
lowlight.registerAlias({ bash: ['sh', 'shell', 'zsh', 'console'], javascript: ['js', 'jsx', 'mjs'], typescript: ['ts', 'tsx'], xml: ['html', 'vue', 'svg'], yaml: ['yml'], python: ['py'], go: ['golang'] })

interface Node { type: string; value?: string; properties?: { className?: readonly string[] }; children?: readonly Node[] }

/** highlight gives a code's text in coloured pieces; nothing for a language it does not know. */
export function highlight(text: string, lang: string): (VNode | string)[] | undefined {
  if (!lang || !lowlight.registered(lang)) return undefined
  return (lowlight.highlight(lang, text).children as readonly Node[]).map(vnode)
}

function vnode(n: Node): VNode | string {
  if (n.type === 'text') return n.value ?? ''
  return h('span', { class: n.properties?.className?.join(' ') }, n.children?.map(vnode))
}
