import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import { until } from '../../client/test/server.js'
import { afterAll, expect, onTestFailed, onTestFinished } from 'vitest'

const program = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)
/** Where there is no browser these tests are skipped, unless TROUPE_TEST_NEED names it. */
export const noBrowser = !program && !(process.env['TROUPE_TEST_NEED'] ?? '').includes('chromium')

let browser: Promise<Browser> | undefined

/**
 * A browser as people have it. Playwright's own way of starting one turns off that storage of frames is kept apart by
 * the page around them, and then they have none at all.
 */
async function start(): Promise<Browser> {
  const dir = mkdtempSync(join(tmpdir(), 'troupe-browser-'))
  const p = spawn(program ?? 'chromium', [
    '--headless=new', '--remote-debugging-port=0', '--user-data-dir=' + dir, '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync', '--mute-audio', '--disable-backgrounding-occluded-windows', '--disable-renderer-backgrounding',
    '--disable-background-timer-throttling', 'about:blank',
  ], { stdio: ['ignore', 'ignore', 'pipe'], detached: true })
  const address = await new Promise<string>((done, no) => {
    let text = ''
    p.stderr.on('data', d => {
      text += d
      const m = /DevTools listening on (ws:\S+)/.exec(text)
      if (m) done(m[1]!)
    })
    p.once('error', no)
    p.once('exit', code => no(new Error(`the browser ended with ${code}:\n${text}`)))
  })
  const b = await chromium.connectOverCDP(address)
  ends.push(async () => {
    const ended = new Promise(done => p.once('exit', done))
    await (await b.newBrowserCDPSession()).send('Browser.close').catch(() => {}) // it goes while it answers
    await ended
    try {
      process.kill(-p.pid!, 'SIGKILL') // what it started and left
    } catch { /* nothing is left */ }
    await until('its profile to be gone', () => {
      try {
        rmSync(dir, { recursive: true, force: true })
        return true
      } catch {
        return false
      }
    })
  })
  return b
}
const ends: (() => Promise<void>)[] = []
afterAll(async () => { for (const end of ends.splice(0)) await end() })

/** A window of somebody who has nothing in common with the others. What its scripts throw, and what a policy refuses, fails the test. */
export async function open(options: BrowserContextOptions = {}): Promise<Page> {
  browser ??= start()
  const context = await (await browser).newContext({ locale: 'en-US', viewport: { width: 1160, height: 760 }, ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(60_000)
  const wrong: string[] = []
  const said: string[] = []
  faults.set(page, wrong)
  page.on('pageerror', e => wrong.push(String(e.stack ?? e)))
  page.on('console', m => {
    said.push(m.type() + ': ' + m.text())
    if (/Content Security Policy|Trusted Type|violates/i.test(m.text())) wrong.push(m.text())
  })
  // A failed test shows what was on the screen in words.
  onTestFailed(async () => console.error('the window at ' + page.url() + ' said:\n' + said.slice(-20).join('\n')))
  onTestFinished(async () => {
    await context.close()
    expect(wrong, 'what the page threw, or was refused').toEqual([])
  })
  return page
}

/** Waits until an expression is true, also where the page's policy lets nobody evaluate anything. */
export const when = (p: Page, expression: string): Promise<void> => until(expression, () => p.evaluate(`!!(${expression})`).catch(() => false), 60_000)

/** What was wrong on a page until now; a test that provokes something empties it. */
export const faults = new WeakMap<Page, string[]>()
