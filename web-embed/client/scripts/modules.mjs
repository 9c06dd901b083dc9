// What each module has of the built client, in KB: `npm run modules`. Each is built as a file of its own for that;
// together they compress better than alone, so a module's share of the whole is what it would be less.
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'

const root = join(import.meta.dirname, '..')
const config = preserveModules => ({
  root, configFile: join(root, 'vite.config.ts'), logLevel: 'error',
  build: { write: false, sourcemap: false, rolldownOptions: { output: { minify: true, preserveModules } } },
})
const chunks = async preserve => (await build(config(preserve))).flatMap(r => r.output).filter(c => c.type === 'chunk')
const size = code => gzipSync(code, { level: 9 }).length
const whole = await chunks(false), alone = new Map((await chunks(true)).map(c => [c.facadeModuleId, c.code]))
const first = new Set()
const reach = name => {
  if (first.has(name)) return
  first.add(name)
  whole.find(c => c.fileName === name).imports.forEach(reach)
}
reach('index.js')
const rows = []
for (const c of whole) {
  const parts = Object.keys(c.modules).map(id => ({ id, bytes: alone.get(id)?.length ?? 0, gz: alone.has(id) ? size(alone.get(id)) : 0 }))
  const sum = parts.reduce((n, p) => n + p.gz, 0)
  for (const p of parts) rows.push({ name: p.id.replace(/^.*\/(src|node_modules)\//, ''), at: first.has(c.fileName) ? 'at first' : c.fileName.replace(/-.*/, ''), bytes: p.bytes, share: p.gz * size(c.code) / sum })
}
for (const r of rows.sort((a, b) => Number(b.at === 'at first') - Number(a.at === 'at first') || b.share - a.share)) console.log(r.name.padEnd(22), r.at.padEnd(10), (r.share / 1000).toFixed(1).padStart(5), (r.bytes / 1000).toFixed(1).padStart(6))
console.log('at first'.padEnd(33), (whole.filter(c => first.has(c.fileName)).reduce((n, c) => n + size(c.code), 0) / 1000).toFixed(1).padStart(5))
