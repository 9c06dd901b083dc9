import { describe, expect, test } from 'vitest'
import { noBrowser, open, when } from './browser.js'
import { Admin, Host, register, rest, Server, signed, until } from './host.js'

describe.skipIf(noBrowser)('<troupe-chat>', () => {
  test('works on a page that allows its own styles alone, and neither’s styles get at the other’s', async () => {
    const server = await Server.start()
    const admin = await Admin.of(server)
    const ann = await register(server.url, 'ann', 'Ann Lee')
    const host = await Host.start()
    const app = await admin.app([host.origin])
    host.headers = { 'Content-Security-Policy': `default-src 'none'; script-src 'self' ${server.url}; style-src 'self'; connect-src 'self' ${server.url} ${server.url.replace('http', 'ws')}; img-src ${server.url}; require-trusted-types-for 'script'; trusted-types vue` }
    host.pages['/im/token'] = (_, a) => a.end(signed(app, 'customer-7', 'Ms. Li'))
    host.pages['/page.css'] = (_, a) => { a.setHeader('Content-Type', 'text/css'); a.end('button { background: rgb(1, 2, 3) !important } .tp { display: none !important } body { margin: 0 } troupe-chat { height: 600px }') }
    host.pages['/page.js'] = (_, a) => {
      a.setHeader('Content-Type', 'text/javascript')
      a.end(`import { TroupeChatElement } from '${server.url}/embed/v1/element.js'
        window.seen = []
        // On the document: what happens in the chat comes out of it, and up.
        for (const e of ['ready', 'unread', 'sent', 'conversation', 'link']) document.addEventListener('troupe-' + e, x => { seen.push([e, x.detail]); if (e === 'link') x.preventDefault() })
        TroupeChatElement.registerRenderer('article', m => { const b = document.createElement('b'); b.textContent = 'our own: ' + m.kind; return b })
        const chat = document.createElement('troupe-chat')
        Object.assign(chat, { app: '${app.id}', endpoint: '${server.url}', getToken: () => fetch('/im/token', { method: 'POST' }).then(r => r.text()) })
        document.querySelector('main').append(chat)`)
    }
    host.pages['/'] = '<!doctype html><html lang="en"><title>Shop</title><link rel="stylesheet" href="/page.css"><main></main><button>Ours</button><script type="module" src="/page.js"></script>'
    const p = await open()
    await p.goto(host.origin)
    await when(p, 'window.seen?.some(([e]) => e === "ready")')
    const inside = 'document.querySelector("troupe-chat").shadowRoot'
    expect(await p.evaluate(`getComputedStyle(${inside}.querySelector('.tp')).display`)).toBe('flex')
    expect(await p.evaluate(`[...${inside}.querySelectorAll('button')].some(b => getComputedStyle(b).backgroundColor === 'rgb(1, 2, 3)')`)).toBe(false)
    expect(await p.evaluate('getComputedStyle(document.querySelector("body > button")).backgroundColor')).toBe('rgb(1, 2, 3)')
    expect(await p.evaluate(`${inside}.querySelectorAll('style, link').length + document.querySelectorAll('style').length + document.querySelectorAll('link').length`)).toBe(1) // the page's own

    const me = await p.evaluate<string>('document.querySelector("troupe-chat").client.me.id')
    const { session } = await rest(server.url, 'POST', '/sessions', { sessionType: 'p2p', members: [me] }, ann.token)
    await rest(server.url, 'POST', `/sessions/${session}/messages`, { clientMsgId: '1', content: { type: 'text', text: 'Look at https://example.com/x' } }, ann.token)
    await when(p, 'seen.some(([e, d]) => e === "unread" && d.total === 1)')
    await p.evaluate(`document.querySelector('troupe-chat').openConversation(${JSON.stringify(session)})`)
    await p.getByText('Look at').last().waitFor()
    await p.getByRole('link', { name: /example\.com/ }).click()
    await when(p, 'seen.some(([e, d]) => e === "link" && d.href === "https://example.com/x")')
    expect(p.url()).toBe(host.origin + '/')
    await p.locator('troupe-chat textarea').fill('Thank you')
    await p.locator('troupe-chat textarea').press('Enter')
    await when(p, 'seen.some(([e]) => e === "sent")')
    expect(await p.evaluate('document.activeElement.localName')).toBe('troupe-chat')
    expect(await p.evaluate('document.querySelector("troupe-chat").outerHTML')).not.toMatch(/eyJ/)

    // Moved in the page it goes on; taken out, it ends.
    await p.evaluate('document.body.append(document.querySelector("troupe-chat"))')
    await p.getByText('Thank you').last().waitFor()
    expect(await p.evaluate('seen.filter(([e]) => e === "ready").length')).toBe(1)
    await p.evaluate('window.was = document.querySelector("troupe-chat").client; document.querySelector("troupe-chat").remove()')
    await when(p, 'window.was.state === "closed"')
  })
})

describe.skipIf(noBrowser)('the playground', () => {
  test('shows the three ways, each talking to the other person', async () => {
    const server = await Server.start({ TROUPE_PLAYGROUND: 'on' })
    const p = await open({ viewport: { width: 1280, height: 900 } })
    await p.goto(server.url + '/playground')
    await p.locator('[data-action=start]').click()
    const other = p.locator('[data-live=other]')
    await other.locator('[data-connection=online]').waitFor()
    for (const way of ['vue', 'element', 'iframe']) {
      await p.locator(`[data-way=${way}]`).click()
      const live = way === 'iframe' ? p.frameLocator('[data-live=iframe] iframe') : p.locator(`[data-live=${way}]`)
      await live.locator('textarea').fill('By ' + way)
      await live.locator('textarea').press('Enter')
      await other.getByText('By ' + way, { exact: true }).waitFor()
      await other.locator('textarea').fill('Seen ' + way)
      await other.locator('textarea').press('Enter')
      await live.getByText('Seen ' + way, { exact: true }).first().waitFor()
      await until('the code', async () => (await p.locator('.play-code pre').first().innerText()).includes(server.url))
    }
  })

  test('is not there unless it was asked for', async () => {
    const server = await Server.start({ TROUPE_PLAYGROUND: 'auto' })
    expect((await fetch(server.url + '/playground')).status).toBe(404)
    expect((await fetch(server.url + '/embed/v1/frame?app=playground')).status).toBe(404)
  })
})
