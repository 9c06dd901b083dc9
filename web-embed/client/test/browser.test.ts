import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type BrowserContext, type Page } from 'playwright-core'
import { build } from 'vite'
import { expect, onTestFinished, test } from 'vitest'
import type { TroupeClient } from '../src/index.js'
import { Server, until } from './server.js'
import { online, texts } from './world.js'

const browser = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(f => existsSync(f))
const here = join(import.meta.dirname, '..')
type Window = typeof globalThis & { client: TroupeClient }

/** Pages of a site with the built client, in a real browser. */
async function site(pages: Record<string, string>): Promise<{ url: string; context: BrowserContext }> {
  const dir = mkdtempSync(join(tmpdir(), 'troupe-site-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  await build({ root: here, configFile: join(here, 'vite.config.ts'), logLevel: 'error', build: { outDir: dir } })
  const server = http.createServer((q, r) => {
    const path = q.url!.split('?')[0]!, file = join(dir, path)
    const html = pages[path]
    if (html) r.setHeader('Content-Type', 'text/html').end(html)
    else if (path.endsWith('.js') && existsSync(file)) r.setHeader('Content-Type', 'text/javascript').end(readFileSync(file))
    else r.writeHead(404).end()
  })
  await new Promise<void>(r => server.listen(0, '127.0.0.1', r))
  const b = await chromium.launch({ executablePath: browser!, args: ['--no-sandbox'] })
  onTestFinished(async () => {
    await b.close()
    server.close()
  })
  return { url: 'http://127.0.0.1:' + (server.address() as AddressInfo).port, context: await b.newContext() }
}

const page = `<!doctype html><script type="module">
  import { createClient } from '/index.js'
  const q = new URLSearchParams(location.search)
  window.client = createClient({ endpoint: q.get('server'), app: 'site', userId: 'ann', getToken: async () => q.get('token'), reconnect: { minMs: 50, maxMs: 500 } })
  client.connect()
</script>`

test.skipIf(!browser && !process.env['TROUPE_TEST_NEED']?.includes('chromium'))('tabs of a real browser share a socket, lose it, and keep what was written over a reload', async () => {
  const pages: Record<string, string> = { '/': page }
  const { url, context } = await site(pages)
  const server = await Server.start({ TROUPE_ORIGINS: url })
  const bob = await online(server, 'bob')
  const talk = async (): Promise<string> => (await bob.conversations.open({ user: 'ann' })).id
  const at = url + '/?' + new URLSearchParams({ server: server.url, token: server.token('ann') })
  const tab = async (): Promise<Page> => {
    const p = await context.newPage()
    await p.goto(at)
    await p.waitForFunction(() => (globalThis as Window).client?.state === 'online')
    return p
  }
  const sockets = async (): Promise<number> => Number(/^troupe_connections (\d+)/m.exec(await (await fetch(server.url + '/metrics')).text())?.[1])
  const one = await tab()
  const id = await talk(), t = bob.conversations.get(id).timeline()
  const before = await sockets()
  const two = await tab(), three = await tab()
  expect(await sockets()).toBe(before)
  const shown = (p: Page, want: string[]): Promise<unknown> => p.waitForFunction(([id, want]) => {
    const w = globalThis as Window & { line?: ReturnType<ReturnType<TroupeClient['conversations']['get']>['timeline']> }
    w.line ??= w.client.conversations.get(id).timeline()
    const texts = w.line.items.value.map(i => (i.t === 'message' ? i.message.parts.map(p => (p.t === 'text' ? p.text : '')).join('') : ''))
    return JSON.stringify(texts.filter(x => x)) === JSON.stringify(want)
  }, [id, want] as const)
  const send = (p: Page, text: string): Promise<void> => p.evaluate(([id, text]) => { (globalThis as Window).client.conversations.get(id!).send(text!) }, [id, text])

  await two.waitForFunction(id => (globalThis as Window).client.conversations.get(id).view.value, id)
  await send(one, 'first')
  await send(two, 'second')
  await until('both', () => texts(t).length === 2)
  const both = [...texts(t)]
  for (const p of [one, two, three]) await shown(p, both)

  await one.close() // it had the socket
  await send(two, 'third')
  await until('the next tab to send', () => texts(t).length === 3)
  await bob.conversations.get(id).send('fourth').sent
  for (const p of [two, three]) await shown(p, [...both, 'third', 'fourth'])

  // Written while the server is away, in a tab that is loaded again, and one that is closed.
  await server.kill()
  await two.waitForFunction(() => (globalThis as Window).client.state !== 'online')
  await send(three, 'fifth')
  await shown(three, [...both, 'third', 'fourth', 'fifth'])
  const waiting = (): Promise<number> => three.evaluate(() => new Promise<number>(done => {
    const open = indexedDB.open('troupe:site:ann')
    open.onsuccess = () => {
      const tx = open.result.transaction('outbox'), rows = tx.objectStore('outbox').count()
      tx.oncomplete = () => { open.result.close(); done(rows.result) }
    }
  }))
  await until('it to be stored', async () => (await waiting()) === 1)
  await three.reload()
  await shown(three, [...both, 'third', 'fourth', 'fifth'])
  await two.close()
  await server.again()
  await until('it to be sent', () => texts(t).length === 5)
  expect(texts(t)).toEqual([...both, 'third', 'fourth', 'fifth'])
  await three.waitForFunction(() => (globalThis as Window).client.outbox.value.length === 0)
  await shown(three, [...both, 'third', 'fourth', 'fifth'])

  // Signing out leaves nothing behind.
  await three.evaluate(() => (globalThis as Window).client.destroy({ wipe: true }))
  expect(await three.evaluate(async () => (await indexedDB.databases()).map(d => d.name))).toEqual([])
})
