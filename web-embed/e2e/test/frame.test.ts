import type { Frame, Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { faults, noBrowser, open, when } from './browser.js'
import { Admin, Host, register, rest, Server, signed, until, type App } from './host.js'
import { Model } from './model.js'
import { ready, shot } from './people.js'

/** A page that takes the loader in, as docs/embed.md says it. */
const page = (server: Server, app: App, more = '', attributes = 'data-layout="launcher"'): string => `<!doctype html><html lang="en"><meta charset="utf-8"><title>A shop</title>
<h1>A shop</h1><p>What others wrote.</p>
<script>window.Troupe=window.Troupe||function(){(Troupe.q=Troupe.q||[]).push(arguments)};${more}</script>
<script async src="${server.url}/embed/v1/troupe.js" data-app="${app.id}" ${attributes}></script>`

const signedIn = `Troupe('boot', { getToken: () => fetch('/im/token', { method: 'POST' }).then(r => r.text()) });`

async function frame(p: Page): Promise<Frame> {
  await until('the frame', () => p.frames().some(f => f.url().includes('/embed/v1/frame')))
  return p.frames().find(f => f.url().includes('/embed/v1/frame'))!
}
const launcher = (p: Page) => p.locator('troupe-launcher button')
const composer = (f: Frame) => f.locator('textarea').first()

interface World { server: Server; admin: Admin; host: Host; app: App; ann: Awaited<ReturnType<typeof register>> }
async function world(more: object = {}, env: Record<string, string> = {}, bots: readonly string[] = []): Promise<World> {
  const server = await Server.start(env)
  const admin = await Admin.of(server)
  for (const bot of bots) await ready(server, admin.token, bot)
  const ann = await register(server.url, 'ann', 'Ann Lee')
  const host = await Host.start()
  const app = await admin.app([host.origin], { members: [ann.id], guests: true, ...more })
  host.pages['/im/token'] = (_, a) => a.end(signed(app, 'customer-7', 'Ms. Li'))
  return { server, admin, host, app, ann }
}

describe.skipIf(noBrowser)('the chat in a page of somebody else', () => {
  test('costs that page the loader alone, until it is opened', async () => {
    const { server, host, app } = await world()
    host.pages['/'] = page(server, app)
    const p = await open()
    const asked: string[] = []
    p.on('request', r => { if (r.url().startsWith(server.url)) asked.push(new URL(r.url()).pathname) })
    await p.goto(host.origin)
    await launcher(p).waitFor()
    expect(asked).toEqual(['/embed/v1/troupe.js'])
    await launcher(p).click()
    await composer(await frame(p)).waitFor()
    expect(asked).toContain('/embed/v1/frame')
  })

  test('knows who is signed in on the page, and both windows talk', async () => {
    const { server, host, app, ann } = await world()
    host.pages['/'] = page(server, app, signedIn + `window.seen=[]; for (const e of ['ready','unread','open','close','message']) Troupe('on', e, m => seen.push(m));` + `Troupe('conversation', { user: '${ann.id}' });`)
    const p = await open()
    await p.goto(host.origin)
    const f = await frame(p)
    await when(p, 'seen.some(m => m.t === "ready")')
    await launcher(p).click()
    await composer(f).fill('Is it in stock?')
    await composer(f).press('Enter')
    await f.locator('[data-client-id][data-status="sent"], [data-client-id][data-status="delivered"]').waitFor()

    const { items } = await rest(server.url, 'GET', '/sessions/recent', undefined, ann.token)
    expect(items).toHaveLength(1)
    await p.keyboard.press('Escape') // to the list
    await composer(f).waitFor({ state: 'detached' })
    await p.keyboard.press('Escape') // and out
    await when(p, 'seen.some(m => m.t === "close")')
    await rest(server.url, 'POST', `/sessions/${items[0].session}/messages`, { clientMsgId: 'a1', content: { type: 'text', text: 'Yes, three of them' } }, ann.token)
    await when(p, 'seen.some(m => m.t === "unread" && m.total === 1)')
    await until('the badge', async () => (await p.locator('troupe-launcher i').textContent()) === '1')
    expect(await p.evaluate('JSON.stringify(seen)')).not.toContain('three of them') // the page around learns of it, and not what it says
    await launcher(p).click()
    await f.getByText('Yes, three of them').first().waitFor()
    await until('nothing unread', async () => (await p.locator('troupe-launcher i').textContent()) === '')
  })

  test('gives its token over the port alone, and keeps it nowhere', async () => {
    const { server, host, app } = await world()
    host.pages['/'] = page(server, app, signedIn + `Troupe('on','ready',()=>{window.ready=true});`)
    const p = await open()
    const urls: string[] = []
    p.on('request', r => urls.push(r.url()))
    const grants: string[] = []
    p.on('response', async r => { if (r.url().endsWith('/exchange')) { const g = await r.json(); grants.push(g.token, g.refreshToken) } })
    await p.goto(host.origin)
    const f = await frame(p)
    await when(p, 'window.ready')
    await until('the exchange to be seen', () => grants.length === 2)
    for (const secret of grants) {
      expect(urls.filter(u => u.includes(secret))).toEqual([])
      expect(await p.content()).not.toContain(secret)
      expect(await f.content()).not.toContain(secret)
      const kept = `(async () => {
        const all = [JSON.stringify({...localStorage}), JSON.stringify({...sessionStorage}), document.cookie, location.href]
        for (const { name } of await indexedDB.databases()) {
          const db = await new Promise(done => { const r = indexedDB.open(name); r.onsuccess = () => done(r.result) })
          for (const s of db.objectStoreNames) all.push(JSON.stringify(await new Promise(done => { const r = db.transaction(s).objectStore(s).getAll(); r.onsuccess = () => done(r.result) })))
          db.close()
        }
        return all.join()
      })()`
      expect(await f.evaluate(kept)).not.toContain(secret)
      expect(await p.evaluate(kept)).not.toContain(secret)
    }
    expect(host.asked.filter(a => a.includes('token'))).toEqual(['POST /im/token'])
  })

  test('is refused to a page of another origin by the browser, and by itself', async () => {
    const { server, app } = await world()
    const evil = await Host.start('127.0.0.1')
    evil.pages['/'] = page(server, app, `Troupe('on','error',e=>{window.failed=e});Troupe('open');`)
    const p = await open()
    await p.goto(evil.origin)
    await until('the browser to refuse it', () => faults.get(p)!.some(t => t.includes('frame-ancestors')))
    faults.get(p)!.length = 0
    // The same with the browser's own check out of the way: what the frame does then.
    const q = await open()
    await q.route('**/embed/v1/frame*', async r => {
      const res = await r.fetch()
      const headers = { ...res.headers() }
      headers['content-security-policy'] = headers['content-security-policy']!.replace(/frame-ancestors [^;]+/, 'frame-ancestors *')
      await r.fulfill({ response: res, headers })
    })
    await q.goto(evil.origin)
    const f = await frame(q)
    await f.getByText('The chat may not be shown here').waitFor()
    expect(await f.locator('[data-connection]').count()).toBe(0)
  })

  test('listens to its parent alone, once, and the page to its frame alone', async () => {
    const { server, host, app } = await world()
    host.pages['/'] = page(server, app, signedIn + `Troupe('on','ready',()=>{window.ready=true});
      addEventListener('message', e => { if (e.data.t === 'troupe:hello') window.hello = e.data });`)
    const p = await open()
    await p.goto(host.origin)
    const f = await frame(p)
    await when(p, 'window.ready')
    expect(await p.evaluate('JSON.stringify(hello)')).toBe('{"t":"troupe:hello","v":1}')
    // A second handshake, from the page itself, is not listened to: no port of it is ever spoken on.
    const heard = await p.evaluate(`new Promise(done => {
      const { port1, port2 } = new MessageChannel()
      port1.onmessage = e => done(e.data)
      document.querySelector('troupe-launcher').shadowRoot.querySelector('iframe').contentWindow.postMessage({ t: 'troupe:init', v: 1, opts: { tokens: true } }, '*', [port2])
      setTimeout(() => done(null), 500)
    })`)
    expect(heard).toBeNull()
    // A hello that is not from the frame gets no port.
    const ports = await p.evaluate(`new Promise(done => {
      const fake = document.createElement('iframe')
      fake.srcdoc = '<script>addEventListener("message", e => parent.postMessage({ got: e.ports.length }, "*")); parent.postMessage({ t: "troupe:hello", v: 1 }, "*")<' + '/script>'
      addEventListener('message', e => { if ('got' in e.data) done(e.data.got) })
      document.body.append(fake)
      setTimeout(() => done(0), 500)
    })`)
    expect(ports).toBe(0)
    expect(await f.locator('[data-connection]').first().getAttribute('data-connection')).toBe('online')
  })

  test('works on a page whose own policy is strict, and needs nothing unsafe', async () => {
    const { server, host, app } = await world()
    host.headers = { 'Content-Security-Policy': `default-src 'none'; script-src 'self' ${server.url}; style-src 'self'; frame-src ${server.url}; connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'` }
    host.pages['/app.js'] = (_, a) => { a.setHeader('Content-Type', 'text/javascript'); a.end(`window.Troupe=window.Troupe||function(){(Troupe.q=Troupe.q||[]).push(arguments)};${signedIn}Troupe('on','ready',()=>{window.ready=true})`) }
    host.pages['/'] = `<!doctype html><html lang="en"><title>Strict</title><script src="/app.js"></script><script async src="${server.url}/embed/v1/troupe.js" data-app="${app.id}"></script>`
    const p = await open()
    await p.goto(host.origin)
    await when(p, 'window.ready')
    await launcher(p).click()
    const f = await frame(p)
    await f.locator('[data-connection="online"]').waitFor()
    expect(await p.evaluate('getComputedStyle(document.querySelector("troupe-launcher").shadowRoot.querySelector("button")).borderRadius')).toBe('50%')
    // The frame's own policy lets nobody make script of text.
    expect(await f.evaluate('(() => { try { document.body.innerHTML = "<b>x</b>"; return "done" } catch (e) { return e.name } })()')).toBe('TypeError')
    faults.get(p)!.length = 0 // that was the provocation
  })

  test('forgets who was there when one signs out', async () => {
    const { server, host, app, ann } = await world()
    host.pages['/'] = page(server, app, signedIn + `Troupe('on','ready',()=>{window.ready=true});Troupe('conversation', { user: '${ann.id}' });Troupe('open');`)
    const p = await open()
    await p.goto(host.origin)
    const f = await frame(p)
    await composer(f).fill('Something private')
    await composer(f).press('Enter')
    await f.locator('[data-client-id][data-status="sent"], [data-client-id][data-status="delivered"]').waitFor()
    await p.evaluate("Troupe('logout')")
    await until('the frame to be gone', () => !p.frames().some(x => x.url().includes('/embed/v1/frame')))
    // What frames keep is kept apart by the page around them: it is looked for from another frame in the same page.
    await p.evaluate(`new Promise(done => { const f = document.createElement('iframe'); f.src = '${server.url}/embed/v1/frame'; f.onload = done; document.body.append(f) })`)
    const there = p.frames().find(x => x.url() === server.url + '/embed/v1/frame')!
    expect(await there.evaluate('Object.keys(localStorage)')).toEqual([])
    await until('the stored conversations to be gone', async () => (await there.evaluate<unknown[]>('indexedDB.databases()')).length === 0)
  })

  test('takes a visitor without a name, who is known again, and keeps what was said when they sign in', async () => {
    const { server, host, app, ann } = await world()
    host.pages['/'] = page(server, app)
    host.pages['/in'] = page(server, app, signedIn)
    const p = await open()
    await p.goto(host.origin)
    await launcher(p).click()
    let f = await frame(p)
    await composer(f).fill('Hello from nobody')
    await composer(f).press('Enter')
    await f.locator('[data-client-id][data-status="sent"], [data-client-id][data-status="delivered"]').waitFor()
    const { items } = await rest(server.url, 'GET', '/sessions/recent', undefined, ann.token)
    expect(items).toHaveLength(1)
    expect(await f.locator('.tp-header-name').innerText(), 'the visitor by name, not by id').toMatch(/ · Guest \w{4}$/)
    expect(await f.locator('[aria-label="Begin something new"]').count(), 'what a visitor may not do').toBe(0)
    await p.reload()
    await launcher(p).click()
    f = await frame(p)
    await f.getByText('Hello from nobody').first().waitFor()
    await p.goto(host.origin + '/in')
    await launcher(p).click()
    f = await frame(p)
    await f.locator('[data-conversation]').first().click()
    await f.getByText('Hello from nobody').first().waitFor()
    await until('the visitor to be Ms. Li', async () => {
      const { members } = await rest(server.url, 'GET', `/sessions/${items[0].session}/session`, undefined, ann.token)
      const names = await Promise.all(members.map(async (m: any) => (await rest(server.url, 'GET', '/users/' + m.user, undefined, ann.token)).nickname))
      return names.includes('Ms. Li')
    })
  })

  test('has a visitor without a name talk to an assistant, and press what a bot asks', async () => {
    const model = await Model.start()
    const { server, host, app } = await world({ members: ['b_assistant', 'b_poll'] }, { TROUPE_MODEL_URL: model.url, TROUPE_MODEL: 'scripted' }, ['assistant', 'poll'])
    host.pages['/'] = page(server, app)
    const p = await open()
    await p.goto(host.origin)
    await launcher(p).click()
    const f = await frame(p)
    const say = async (text: string): Promise<void> => { await composer(f).fill(text); await composer(f).press('Enter') }
    await say('Hello')
    await f.locator('[data-client-id][data-status="sent"], [data-client-id][data-status="delivered"], [data-client-id][data-status="read"]').first().waitFor()
    await composer(f).pressSequentially('@Assi')
    await f.getByRole('option', { name: 'Assistant' }).waitFor()
    await composer(f).press('Enter')
    await composer(f).pressSequentially('do you deliver on Sundays?')
    await composer(f).press('Enter')
    await say('/poll "When?" Saturday Sunday')
    const card = f.locator('.tp-card', { hasText: 'When?' })
    await card.getByRole('button', { name: /Sunday/ }).click()
    await f.locator('.tp-card', { hasText: /1 vote\b/ }).waitFor()
    await shot(p, 'guest-bots')
    const answer = await model.nth(1)
    expect(answer.question).toContain('do you deliver on Sundays?')
    answer.say('Yes, ', 'until ', 'noon.')
    answer.end()
    await f.locator('.tp-msg', { hasText: 'Yes, until noon.' }).waitFor()
  })

  test('outlives a page swap beside the body, and comes back into its place in the page', async () => {
    const { server, host, app } = await world()
    host.pages['/'] = page(server, app, `Troupe('on','ready',()=>{window.ready=(window.ready||0)+1});Troupe('open');`)
    const p = await open()
    await p.goto(host.origin)
    await when(p, 'window.ready === 1')
    await p.evaluate('const b = document.createElement("body"); b.textContent = "another page"; document.body.replaceWith(b)')
    expect(await launcher(p).isVisible()).toBe(true)
    await p.evaluate('new Promise(done => setTimeout(done))')
    expect(await p.evaluate('ready')).toBe(1) // the same frame, which ran on
    host.pages['/in'] = page(server, app, `Troupe('on','ready',()=>{window.ready=(window.ready||0)+1});`, 'data-target="#chat"') + '<div id="chat" style="height:500px"></div>'
    await p.goto(host.origin + '/in')
    await when(p, 'window.ready === 1')
    await p.evaluate('const b = document.createElement("body"); b.innerHTML = "<main id=chat style=height:400px></main>"; document.body.replaceWith(b)')
    await when(p, 'window.ready === 2 && document.querySelector("main iframe")')
  })
})
