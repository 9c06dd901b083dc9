import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import ts from 'typescript'
import { build } from 'vite'
import { expect, onTestFinished, test } from 'vitest'
import { Server } from './server.js'
import { online } from './world.js'

const here = join(import.meta.dirname, '..'), page = join(here, '../../docs/sdk.md')
const api = ts.createSourceFile('api.ts', readFileSync(join(here, 'src/api.ts'), 'utf8'), ts.ScriptTarget.ES2022, true)

/** The first sentence of a declaration's comment. */
function about(n: ts.Node): string {
  const [c] = ts.getJSDocCommentsAndTags(n).filter(ts.isJSDoc)
  const text = (typeof c?.comment === 'string' ? c.comment : '').replace(/\s+/g, ' ').trim()
  return (/^.*?[.:](?= |$)/.exec(text)?.[0] ?? text).replace(/:$/, '.').replaceAll('|', '\\|')
}

const declared = api.statements.filter((s): s is ts.InterfaceDeclaration | ts.TypeAliasDeclaration =>
  (ts.isInterfaceDeclaration(s) || ts.isTypeAliasDeclaration(s)) && !!s.modifiers?.some(m => m.kind === ts.SyntaxKind.ExportKeyword))

const members = (i: ts.InterfaceDeclaration): string[] => i.members.map(m => m.name?.getText(api)).filter(x => x !== undefined).map(n => n.replaceAll("'", ''))

const tables: Record<string, () => string> = {
  events: () => {
    const i = declared.find(d => d.name.text === 'Events') as ts.InterfaceDeclaration
    return ['| event | |', '|---|---|', ...i.members.map(m => `| \`${m.name!.getText(api).replaceAll("'", '')}\` | ${about(m)} |`)].join('\n')
  },
  names: () => ['| name | | its parts |', '|---|---|---|', ...[...declared].sort((a, b) => (a.name.text < b.name.text ? -1 : 1))
    .map(d => `| \`${d.name.text}\` | ${about(d)} | ${ts.isInterfaceDeclaration(d) ? members(d).map(m => `\`${m}\``).join(', ') : ''} |`)].join('\n'),
}

test('docs/sdk.md has every exported name, as the types have it', () => {
  const old = readFileSync(page, 'utf8')
  const now = old.replace(/(<!-- table (\w+) -->\n)[^]*?(<!-- end -->)/g, (_, a: string, name: string, z: string) => a + tables[name]!() + '\n' + z)
  if (process.env['TROUPE_WRITE_DOCS']) writeFileSync(page, now)
  else expect(old, 'run TROUPE_WRITE_DOCS=1 npx vitest run docs').toBe(now)
  for (const name of ['createClient', 'createAccount', 'MemoryStorage', 'TroupeError']) expect(now).toContain(name)
})

test('the example of docs/sdk.md runs in Node on the built package', async () => {
  const server = await Server.start(), bob = await online(server, 'bob')
  const dir = mkdtempSync(join(tmpdir(), 'troupe-example-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const pkg = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'))
  const to = join(dir, 'node_modules/@troupe/client')
  mkdirSync(to, { recursive: true })
  await build({ root: here, configFile: join(here, 'vite.config.ts'), logLevel: 'error', build: { outDir: join(to, 'dist') } })
  writeFileSync(join(to, 'package.json'), JSON.stringify({ name: pkg.name, type: 'module', exports: pkg.publishConfig.exports }))
  symlinkSync(join(here, '../node_modules/ws'), join(dir, 'node_modules/ws'))
  const [, code] = /<!-- run -->\n```js\n([^]*?)```/.exec(readFileSync(page, 'utf8'))!
  writeFileSync(join(dir, 'example.mjs'), code!)
  const { stdout } = await promisify(execFile)(process.execPath, ['example.mjs'], {
    cwd: dir, env: { ...process.env, TROUPE_URL: server.url, TROUPE_TOKEN: server.token('ann'), TROUPE_PEER: 'bob' }, timeout: 30_000,
  })
  expect(stdout).toContain('stored as number 1\n')
  expect(stdout).toContain('the timeline has 1 row\n')
  expect(bob.conversations.list().value).toHaveLength(1)
})
