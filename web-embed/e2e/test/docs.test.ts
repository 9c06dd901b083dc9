import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FrameLocator, Page } from 'playwright-core'
import { describe, test } from 'vitest'
import { noBrowser, open, when } from './browser.js'
import { Admin, Host, register, Server, type App } from './host.js'

const root = join(import.meta.dirname, '../../..')

/** The piece of docs/embed.md that is marked by a name, with a test's own server and application in it. */
function piece(name: string, server: Server, app: App): string {
  const text = new RegExp('<!-- run: ' + name + ' -->\\n```\\w+\\n([\\s\\S]*?)```').exec(readFileSync(join(root, 'docs/embed.md'), 'utf8'))?.[1]
  if (!text) throw new Error('docs/embed.md has no piece ' + name)
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
