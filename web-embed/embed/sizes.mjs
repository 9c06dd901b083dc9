// What a page has to load at first, in KB gzipped, against what we allow: `npm run build && npm run sizes`.
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const read = name => readFileSync(new URL('dist/' + name, import.meta.url))
const kb = names => names.reduce((n, name) => n + gzipSync(read(name), { level: 9 }).length, 0) / 1024
const entries = JSON.parse(read('entries.json'))
const js = name => [name + '.js', ...entries[name].needs]
const rows = [
  ['loader', ['troupe.js'], 3],
  ['frame', js('frame'), 74], ['frame, style', entries.frame.styles, 7],
  ['element, with its style', js('element'), 79],
  ['page', js('page'), 75], ['page, style', entries.page.styles, 8],
]
let over = false
for (const [what, names, most] of rows) {
  const size = kb(names)
  over ||= size > most
  console.log(`${what.padEnd(24)}${size.toFixed(1).padStart(7)} of ${most} KB${size > most ? '  TOO LARGE' : ''}`)
}
if (over) process.exit(1)
