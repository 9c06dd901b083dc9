import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { until } from '../../client/test/server.js'

/** A window of a browser that is not Chromium: no more than what a smoke test needs. */
export interface Window {
  go(url: string): Promise<void>
  /** What an expression is in the page, as JSON can say it. */
  evaluate(expression: string): Promise<any>
  /** Types into what has the focus, as a keyboard does; \n is Enter. */
  type(text: string): Promise<void>
  close(): Promise<void>
}

const found = (...names: string[]): string | undefined => names.find(existsSync)
const firefox = found('/usr/bin/firefox-esr', '/usr/bin/firefox')
const driver = found('/usr/bin/WebKitWebDriver'), display = found('/usr/bin/Xvfb')
/** What is missing for each engine; empty: nothing. */
export const missing = { firefox: firefox ? '' : 'firefox-esr', webkit: driver && display ? '' : 'webkit2gtk-driver and xvfb' }

function start(program: string, args: string[], env: Record<string, string> = {}): ChildProcess {
  return spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true, env: { ...process.env, ...env } })
}
async function end(p: ChildProcess): Promise<void> {
  const gone = new Promise(r => p.once('exit', r))
  try { process.kill(-p.pid!, 'SIGKILL') } catch { return }
  await gone
}

/** Firefox by WebDriver BiDi: one socket, commands with ids. */
export async function openFirefox(): Promise<Window> {
  const profile = mkdtempSync(join(tmpdir(), 'troupe-firefox-'))
  const p = start(firefox!, ['--headless', '--remote-debugging-port=0', '--profile', profile, 'about:blank'])
  let said = ''
  p.stderr!.on('data', d => { said += d })
  await until('Firefox to say its address', () => /listening on (ws:\S+)/.test(said), 60_000)
  const ws = new WebSocket(/listening on (ws:\S+)/.exec(said)![1] + '/session')
  await new Promise((yes, no) => { ws.once('open', yes); ws.once('error', no) })
  let id = 0
  const waiting = new Map<number, { yes(v: any): void; no(e: Error): void }>()
  ws.on('message', text => {
    const f = JSON.parse(String(text)), w = waiting.get(f.id)
    waiting.delete(f.id)
    if (f.type === 'error') w?.no(new Error(`${f.error}: ${f.message}`))
    else w?.yes(f.result)
  })
  const ask = (method: string, params: object = {}): Promise<any> => new Promise((yes, no) => {
    waiting.set(++id, { yes, no })
    ws.send(JSON.stringify({ id, method, params }))
  })
  await ask('session.new', { capabilities: {} })
  const { context } = (await ask('browsingContext.getTree')).contexts[0]
  await ask('browsingContext.setViewport', { context, viewport: { width: 1160, height: 760 } })
  return {
    go: url => ask('browsingContext.navigate', { context, url, wait: 'complete' }),
    async evaluate(expression) {
      const r = await ask('script.evaluate', { expression: `JSON.stringify(${expression})`, target: { context }, awaitPromise: true })
      if (r.type === 'exception') throw new Error(r.exceptionDetails.text)
      return r.result.type === 'string' ? JSON.parse(r.result.value) : undefined
    },
    type: text => ask('input.performActions', { context, actions: [{ type: 'key', id: 'k', actions: [...text].flatMap(c => { const value = c === '\n' ? '\uE007' : c; return [{ type: 'keyDown', value }, { type: 'keyUp', value }] }) }] }),
    async close() {
      await ask('browser.close').catch(() => {})
      ws.close()
      await end(p)
      rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
    },
  }
}

async function freePort(): Promise<number> {
  const s = createServer()
  await new Promise<void>(done => s.listen(0, '127.0.0.1', done))
  const { port } = s.address() as AddressInfo
  await new Promise(done => s.close(done))
  return port
}

/** WebKit (GTK) by WebDriver, on a display that nobody sees. */
export async function openWebKit(): Promise<Window> {
  const number = 90 + Math.floor(Math.random() * 900), port = await freePort()
  const screen = start(display!, [':' + number, '-screen', '0', '1300x900x24', '-nolisten', 'tcp'])
  await until('the display', () => existsSync('/tmp/.X11-unix/X' + number))
  const p = start(driver!, ['--port=' + port, '--host=127.0.0.1'], { DISPLAY: ':' + number, WEBKIT_DISABLE_COMPOSITING_MODE: '1', LIBGL_ALWAYS_SOFTWARE: '1', WEBKIT_FORCE_SANDBOX: '0', WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1' })
  const base = `http://127.0.0.1:${port}`
  const ask = async (method: string, path: string, body?: object): Promise<any> => {
    const res = await fetch(base + path, { method, ...(body && { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }) })
    const f = (await res.json()) as { value: any }
    if (!res.ok) throw new Error(`${path}: ${f.value?.error}: ${f.value?.message}`)
    return f.value
  }
  await until('the driver', () => fetch(base + '/status').then(r => r.ok, () => false))
  const { sessionId } = await ask('POST', '/session', { capabilities: { alwaysMatch: {} } })
  const at = '/session/' + sessionId
  await ask('POST', at + '/window/rect', { width: 1160, height: 800 }).catch(() => {})
  return {
    go: url => ask('POST', at + '/url', { url }),
    evaluate: async expression => JSON.parse((await ask('POST', at + '/execute/sync', { script: `return JSON.stringify(${expression})`, args: [] })) ?? 'null'),
    type: text => ask('POST', at + '/actions', { actions: [{ type: 'key', id: 'k', actions: [...text].flatMap(c => { const value = c === '\n' ? '\uE007' : c; return [{ type: 'keyDown', value }, { type: 'keyUp', value }] }) }] }),
    async close() {
      await ask('DELETE', at).catch(() => {})
      await end(p)
      await end(screen)
    },
  }
}
