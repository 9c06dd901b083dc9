// @vitest-environment node
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
const doc = read('../../../docs/vue.md'), source = read('../src/TroupeChat.vue'), chat = read('../src/composables/chat.ts'), tokens = read('../src/styles/tokens.css')
const block = (text: string, from: string, to: string) => text.slice(text.indexOf(from), text.indexOf(to, text.indexOf(from)))

it('docs/vue.md names every prop, event, method, feature and token', () => {
  const props = [...block(source, 'defineProps<{', '}>()').matchAll(/^ {2}(\w+)\??:/gm)].map(m => m[1]!)
  const events = [...block(source, 'defineEmits<{', '}>()').matchAll(/^ {2}'?([\w:-]+)'?: \[/gm)].map(m => m[1]!)
  const methods = [...block(source, 'defineExpose({', '\n})').matchAll(/^ {2}(\w+)[:(,]/gm)].map(m => m[1]!)
  const features = [...block(chat, 'export const allFeatures', '\n}').matchAll(/(\w+): (?:true|false)/g)].map(m => m[1]!)
  const parts = [...new Set([...tokens.matchAll(/--troupe-([\w-]+)/g)].map(m => m[1]!))].filter(t => !t.endsWith('-dark'))
  expect(props.length).toBeGreaterThan(15)
  expect(events.length).toBeGreaterThan(12)
  expect(features.length).toBe(15)
  for (const word of [...props, ...events, ...methods, ...features, ...parts]) expect(doc, word).toMatch(new RegExp(`[\`\\s-]${word}[\`\\s(,;]`))
})
