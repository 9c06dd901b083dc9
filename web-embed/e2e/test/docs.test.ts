import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import vue from '@vitejs/plugin-vue'
import type { FrameLocator, Page } from 'playwright-core'
import { build } from 'vite'
import { describe, onTestFinished, test } from 'vitest'
import { noBrowser, open, when } from './browser.js'
import { Admin, Host, register, rest, Server, type App } from './host.js'

const root = join(import.meta.dirname, '../../..')

/** The piece of a page of docs that is marked by a name, with a test's own server and application in it. */
function piece(name: string, server: Server, app: App, doc = 'docs/embed.md'): string {
  const text = new RegExp('<!-- run: ' + name + ' -->\\n```\\w+\\n([\\s\\S]*?)```').exec(readFileSync(join(root, doc), 'utf8'))?.[1]
  if (!text) throw new Error(doc + ' has no piece ' + name)
  return text.replaceAll('https://im.example.com', server.url).replaceAll('app_8f3k', app.id)
}

async function world(): Promise<{ server: Server; host: Host; app: App }> {
  const server = await Server.start()
  const admin = await Admin.of(server)
  const ann = await register(server.url, 'ann', 'Ann Lee')
  const host = await Host.start()
  const app = await admin.app([host.origin], { members: [ann.id], guests: true })
  const program = piece('token', server, app) + "\nprocess.stdout.write(chatToken('customer-7', 'Ms. Li'))"
  host.pages['/im/token'] = (_, a) => a.end(execFileSync(process.execPath, ['-e', program], { env: { ...process.env, TROUPE_APP: app.id, TROUPE_APP_SECRET: app.secret } }))
  return { server, host, app }
}
const page = (body: string): string => '<!doctype html><html lang="en"><meta charset="utf-8"><title>Shop</title><body><h1>Shop</h1>\n' + body
const inside = (p: Page): FrameLocator => p.frameLocator('troupe-launcher iframe, #chat iframe')

describe.skipIf(noBrowser)('docs/embed.md', () => {
  test('shows a launcher that knows who is there', async () => {
    const { server, host, app } = await world()
    host.pages['/'] = page(piece('launcher', server, app))
    const p = await open()
    await p.goto(host.origin)
    await p.locator('troupe-launcher button').click()
    await inside(p).locator('[data-connection=online]').waitFor()
    await inside(p).getByRole('button', { name: 'Profile and status' }).click()
  })
  test('shows one line for visitors', async () => {
    const { server, host, app } = await world()
    host.pages['/'] = page(piece('guests', server, app))
    const p = await open()
    await p.goto(host.origin)
    await p.locator('troupe-launcher button').click()
    await inside(p).locator('textarea').fill('Hello')
    await inside(p).locator('textarea').press('Enter')
    await inside(p).locator('[data-status=sent], [data-status=delivered]').first().waitFor()
  })
  test('shows a chat in a place of the page', async () => {
    const { server, host, app } = await world()
    host.pages['/'] = page(piece('inline', server, app))
    const p = await open({ colorScheme: 'dark' })
    await p.goto(host.origin)
    await inside(p).locator('[data-connection=online][data-theme=light][lang=zh-CN]').waitFor()
    await inside(p).locator('textarea').waitFor()
  })
  test('shows the element', async () => {
    const { server, host, app } = await world()
    host.pages['/'] = page(piece('element', server, app))
    const p = await open()
    await p.goto(host.origin)
    await when(p, 'document.querySelector("troupe-chat").client?.me?.nickname === "Ms. Li"')
    await p.locator('troupe-chat [data-connection=online]').waitFor()
  })
})

describe.skipIf(noBrowser)('the example of a plain page', () => {
  test('runs as it stands, but for the server and the application', async () => {
    const { server, host, app } = await world()
    host.pages['/'] = readFileSync(join(root, 'web-embed/examples/plain/index.html'), 'utf8').replaceAll('http://localhost:8080', server.url).replaceAll('YOUR_APP', app.id)
    const p = await open()
    await p.goto(host.origin)
    await p.getByRole('button', { name: 'Ask us' }).click()
    await inside(p).locator('[data-connection=online]').waitFor()
    await p.locator('troupe-launcher button').click()
    await p.getByRole('button', { name: 'Sign out' }).click()
    await when(p, '!document.querySelector("troupe-launcher").shadowRoot.querySelector("iframe")')
  })
})

/** A Vue app as its developer builds it, at a host of its own. */
async function built(host: Host, dir: string, endpoint: string): Promise<void> {
  const out = mkdtempSync(join(tmpdir(), 'troupe-app-'))
  onTestFinished(() => rmSync(out, { recursive: true, force: true }))
  await build({ root: dir, configFile: false, logLevel: 'error', plugins: [vue()], resolve: { dedupe: ['vue'] }, define: { 'import.meta.env.VITE_TROUPE': JSON.stringify(endpoint) }, build: { outDir: out, emptyOutDir: true } })
  host.pages['/'] = readFileSync(join(out, 'index.html'), 'utf8')
  for (const name of readdirSync(join(out, 'assets'))) {
    host.pages['/assets/' + name] = (_, a) => {
      a.setHeader('Content-Type', name.endsWith('.css') ? 'text/css' : 'text/javascript')
      a.end(readFileSync(join(out, 'assets', name)))
    }
  }
}

describe.skipIf(noBrowser)('Vue apps', () => {
  test('the example signs in and talks, and signs out', async () => {
    const host = await Host.start(), server = await Server.start({ TROUPE_ORIGINS: host.origin })
    const ann = await register(server.url, 'ann', 'Ann Lee'), bob = await register(server.url, 'bob', 'Bob')
    const { session } = await rest(server.url, 'POST', '/sessions', { sessionType: 'p2p', members: [ann.id] }, bob.token)
    await rest(server.url, 'POST', `/sessions/${session}/messages`, { clientMsgId: '1', content: { type: 'text', text: 'Bed four is free' } }, bob.token)
    await built(host, join(root, 'web-embed/examples/vue'), server.url)
    const p = await open()
    await p.goto(host.origin)
    await p.getByPlaceholder('Name').fill('ann')
    await p.getByPlaceholder('Password').fill('a long password')
    await p.getByRole('button', { name: 'Sign in' }).click()
    await p.getByText('1 unread', { exact: true }).waitFor()
    await p.locator(`[data-conversation="${session}"]`).click()
    await p.getByText('part of the patient').waitFor()
    await p.locator('.tp-composer textarea').fill('Thank you')
    await p.locator('.tp-composer textarea').press('Enter')
    await p.locator('[data-status=sent], [data-status=delivered]').first().waitFor()
    await p.getByRole('button', { name: 'Sign out' }).click()
    await p.getByPlaceholder('Password').waitFor()
  })
  test('the component works as docs/vue.md shows it', async () => {
    const { server, host, app } = await world()
    const dir = mkdtempSync(join(tmpdir(), 'troupe-vue-'))
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
    mkdirSync(join(dir, 'src'))
    symlinkSync(join(root, 'web-embed/node_modules'), join(dir, 'node_modules'))
    writeFileSync(join(dir, 'index.html'), '<!doctype html><html lang="en"><title>App</title><div id="app"></div><script type="module" src="/src/main.js"></script>')
    writeFileSync(join(dir, 'src/main.js'), "import { createApp } from 'vue'\nimport App from './App.vue'\ncreateApp(App).mount('#app')\n")
    writeFileSync(join(dir, 'src/App.vue'), piece('component', server, app, 'docs/vue.md'))
    await built(host, dir, server.url)
    const p = await open()
    await p.goto(host.origin)
    await p.locator('[data-connection=online]').waitFor()
    await p.getByRole('button', { name: 'Profile and status' }).click()
    await p.getByRole('menuitem', { name: 'My profile' }).click()
    await p.getByRole('dialog').getByText('Ms. Li').first().waitFor()
  })
})
