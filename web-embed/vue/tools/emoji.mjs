// Writes src/composer/emoji-zh.ts and emoji-en.ts from emojibase-data: `node tools/emoji.mjs`.
// One string per group: an emoji, a tab and its name on each line.
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const root = dirname(createRequire(import.meta.url).resolve('emojibase-data/package.json'))
const keys = ['people', 'body', , 'nature', 'food', 'travel', 'activities', 'objects', 'symbols', 'flags'] // 2 is skin tones
for (const locale of ['zh', 'en']) {
  const groups = new Map()
  const all = JSON.parse(readFileSync(join(root, locale, 'data.json'), 'utf8'))
  for (const e of all.sort((a, b) => (a.order ?? 1e9) - (b.order ?? 1e9))) {
    const key = keys[e.group]
    if (!key || !e.emoji || e.version > 15.1) continue
    if (!groups.has(key)) groups.set(key, [])
    groups.get(key).push(`${e.emoji}\t${e.label.toLowerCase()}`)
  }
  const lines = [...groups].map(([key, rows]) => `  ${key}: ${JSON.stringify(rows.join('\n'))},`)
  writeFileSync(new URL(`../src/composer/emoji-${locale}.ts`, import.meta.url),
    `// Written by tools/emoji.mjs from emojibase-data (MIT). Not for editing.\nexport const data = {\n${lines.join('\n')}\n}\n`)
  console.log(locale, [...groups].map(([k, v]) => `${k} ${v.length}`).join(', '))
}
