// Fails when an entry of the built package is over its budget. An entry's size is that of
// its file and of what it imports at once, minified, gzip -9.
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'

const dist = join(dirname(import.meta.dirname), 'dist')
// What is reached, and a little: whoever adds to it says why in docs/decisions/0013.
const budgets = { 'index.js': 25.4, 'account.js': 4.4 } // KB
const lazy = 3.2 // each of the others

function reached(file, seen = new Set()) {
  if (seen.has(file)) return seen
  seen.add(file)
  for (const [, name] of readFileSync(join(dist, file), 'utf8').matchAll(/(?:^|[;}\s])(?:import|export)[^'"`;()]*?["'`]\.\/([^"'`]+\.js)["'`]/g)) reached(name, seen)
  return seen
}
const kb = files => [...files].reduce((n, f) => n + gzipSync(readFileSync(join(dist, f)), { level: 9 }).length, 0) / 1000

let over = false
const at = new Set(Object.keys(budgets).flatMap(f => [...reached(f)]))
const rows = [...Object.entries(budgets).map(([f, max]) => [f, kb(reached(f)), max]), ...readdirSync(dist).filter(f => f.endsWith('.js') && !at.has(f)).map(f => [f + ' (lazy)', kb([f]), lazy])]
for (const [name, size, max] of rows) {
  over ||= size > max
  console.log(`${size > max ? 'OVER' : 'ok  '} ${name}: ${size.toFixed(1)} of ${max} KB`)
}
process.exitCode = over ? 1 : 0
