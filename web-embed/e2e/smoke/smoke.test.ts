import { expect, onTestFinished, test } from 'vitest'
import { online, text } from '../../client/test/world.js'
import { register, Server, until } from '../test/host.js'
import { missing, openFirefox, openWebKit, type Window } from './engines.js'

const js = JSON.stringify
/** Waits for something to be seen, and fails with what was seen instead. */
async function seen(w: Window, what: string, expression: string): Promise<void> {
  try {
    await until(what, () => w.evaluate(`!!(${expression})`).catch(() => false), 60_000)
  } catch (e) {
    throw new Error(`${(e as Error).message}; the page says: ${await w.evaluate('document.body.innerText.slice(0, 600)').catch(() => '?')}`)
  }
}
const focus = (w: Window, selector: string): Promise<void> => w.evaluate(`(document.querySelector(${js(selector)}).focus(), 1)`)

/** What people do first, in an engine: sign up, find somebody, write and be answered; and the element of the playground. */
async function smoke(w: Window): Promise<void> {
  const server = await Server.start({ TROUPE_PLAYGROUND: 'on' })
  const bob = await register(server.url, 'bob', 'Bob')
  await w.go(server.url)
  await seen(w, 'the page', `document.querySelector('#tab-up')`)
  await w.evaluate(`(document.querySelector('#tab-up').click(), 1)`)
  await seen(w, 'the form', `document.querySelector('[name=nickname]')`)
  for (const [name, value] of [['username', 'ann'], ['nickname', 'Ann'], ['password', 'a long password']] as const) {
    await focus(w, `[name=${name}]`)
    await w.type(value)
  }
  await w.type('\n')
  await seen(w, 'to be online', `document.querySelector('[data-connection=online]')`)
  const ann: string = await w.evaluate(`JSON.parse(localStorage.getItem('troupe.login')).userId`)

  const client = await online(server, bob.id, { userId: bob.id, getToken: async () => bob.token, app: '' })
  const heard: string[] = []
  client.on('message', m => { if (!m.own) heard.push(text(m)) })
  const talk = await client.conversations.open({ user: ann })
  await talk.send('Hello **Ann**, `x`').sent
  await seen(w, 'the row', `document.querySelector('[data-conversation]')`)
  await w.evaluate(`(document.querySelector('[data-conversation]').click(), 1)`)
  await seen(w, 'the message, as markdown', `document.querySelector('.tp-md strong')?.textContent === 'Ann'`)
  await seen(w, 'the text', `document.querySelector('.tp-composer textarea')`)
  await focus(w, '.tp-composer textarea')
  await w.type('Hi Bob\n')
  await until('Bob to hear it', () => heard.includes('Hi Bob'), 60_000)
  await seen(w, 'the tick', `document.querySelector('[data-status=delivered], [data-status=sent], [data-status=read]')`)
  // A dialog and a menu are the browser's own, and their styles came behind the first view.
  await w.evaluate(`(document.querySelector('.tp-header-who').click(), 1)`)
  await seen(w, 'the panel', `document.querySelector('.tp-panel')?.getBoundingClientRect().width > 200`)
  expect(await w.evaluate(`getComputedStyle(document.querySelector('.tp-panel')).display`)).toBe('flex')
  expect(await w.evaluate(`document.documentElement.scrollWidth <= innerWidth`)).toBe(true)

  await w.go(server.url + '/playground')
  await seen(w, 'the playground', `document.querySelectorAll('.play-ways [role=tab]').length > 1`)
  await w.evaluate(`(document.querySelectorAll('.play-ways [role=tab]')[1].click(), 1)`)
  await seen(w, 'the element to be online', `document.querySelector('troupe-chat')?.shadowRoot?.querySelector('[data-connection=online]')`)
  expect(await w.evaluate(`getComputedStyle(document.querySelector('troupe-chat').shadowRoot.querySelector('.tp')).display`)).toBe('flex')
}

test.skipIf(!!missing.firefox)('the page and the element work in Firefox', async () => {
  const w = await openFirefox()
  onTestFinished(() => w.close())
  await smoke(w)
})
test.skipIf(!!missing.webkit)('the page and the element work in WebKit', async () => {
  const w = await openWebKit()
  onTestFinished(() => w.close())
  await smoke(w)
})
test('what is missing here is said', () => {
  for (const [engine, packages] of Object.entries(missing)) if (packages) console.warn(`SKIPPED: no ${engine} here. apt-get install ${packages}`)
})
