// What a page has to load, in KB gzipped, against what we allow: `npm run build && node tools/sizes.mjs`.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const dist = fileURLToPath(new URL('../dist/', import.meta.url))
const read = name => readFileSync(dist + name, 'utf8')
const kb = names => names.reduce((n, name) => n + gzipSync(read(name), { level: 9 }).length, 0) / 1000

/** All files that one file brings at once: its static imports, and theirs. */
function with_(name, seen = new Set()) {
  if (seen.has(name)) return seen
  seen.add(name)
  for (const m of read(name).matchAll(/(?:from|import)\s*"\.\/([^"]+\.js)"/g)) with_(m[1], seen)
  return seen
}
const entry = with_('index.js')
const file = start => readdirSync(dist).find(n => n.startsWith(start) && n.endsWith('.js'))
const talk = [...with_(file('ChatPane'))].filter(n => !entry.has(n))
/** What a part brings besides what a conversation has brought. */
const lazy = start => [...with_(file(start))].filter(n => !entry.has(n) && !talk.includes(n))
const rows = [
  ['the list', [...entry], 18], ['a conversation', talk, 26], ['style', ['first.css'], 8], ['more style', ['rest.css'], 7], ['markdown', lazy('markdown'), 18], ['code colours', [...lazy('highlight'), ...lazy('typescript')], 14],
  ['emoji', [...lazy('EmojiPanel'), ...lazy('emoji-zh')], 24], ['dialogs', lazy('DialogHost'), 12], ['info', lazy('InfoPanel'), 8],
]
let over = false
for (const [what, names, most] of rows) {
  const size = kb(names)
  over ||= size > most
  console.log(`${what.padEnd(14)}${size.toFixed(1).padStart(7)} of ${most} KB${size > most ? '  TOO LARGE' : ''}`)
}
if (over) process.exit(1)
