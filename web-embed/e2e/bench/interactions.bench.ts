import { WebSocket } from 'ws'
import { expect, onTestFinished, test } from 'vitest'
import { createAccount } from '../../client/src/account.js'
import { createClient } from '../../client/src/index.js'
import { open } from '../test/browser.js'
import { rest, Server, until } from '../test/host.js'
import { signUp } from '../test/people.js'

/** In the page: times from what a person does to when what it brings about was painted, in ms. */
const inPage = `window.bench = {
  painted: () => new Promise(done => requestAnimationFrame(() => { const c = new MessageChannel(); c.port1.onmessage = () => done(performance.now()); c.port2.postMessage(0) })),
  // Presses el, and waits until there is something at selector within what is seen of the messages.
  async press(el, selector) {
    const begin = performance.now()
    el.click()
    for (;;) {
      await new Promise(requestAnimationFrame)
      const box = document.querySelector('.tp-scroll')?.getBoundingClientRect(), at = document.querySelector(selector)?.getBoundingClientRect()
      if (box && at && at.height && at.bottom > box.top && at.top < box.bottom) return await bench.painted() - begin
      if (performance.now() - begin > 30000) throw new Error('waited in vain for ' + selector)
    }
  },
  keys: [],
  listen() { addEventListener('keydown', () => { const begin = performance.now(); void bench.painted().then(end => bench.keys.push(end - begin)) }, true) },
  // Goes up by steps, one a frame: how long each frame took, and how far what was in view moved by itself.
  async scroll(steps, by) {
    const box = document.querySelector('.tp-scroll'), frames = []
    let last = await new Promise(requestAnimationFrame)
    for (let i = 0; i < steps; i++) {
      box.scrollTop -= by
      const now = await new Promise(requestAnimationFrame)
      frames.push(now - last)
      last = now
    }
    return { frames, rows: document.querySelectorAll('.tp-msg').length }
  },
}; bench.listen()`

const rows: string[] = []
/** Its CPU is what the page's main thread worked meanwhile, for each: that is the same on a busy machine, and the times are not. */
function say(what: string, times: number[], cpu: number): void {
  const t = [...times].sort((a, b) => a - b), at = (p: number): string => t[Math.min(t.length - 1, Math.floor(t.length * p))]!.toFixed(0)
  rows.push(`| ${what} | ${t.length} | ${at(0.5)} | ${at(0.95)} | ${at(1)} | ${(cpu / t.length).toFixed(1)} |`)
}

test('what one does in the chat, in milliseconds', async () => {
  const server = await Server.start({ TROUPE_BOTS: 'off' })
  const page = await open()
  await signUp(page, server.url, 'ann', 'Ann')
  const { items } = await rest(server.url, 'GET', '/users?name=ann', undefined, server.token('bob'))
  const bob = createClient({ endpoint: server.url, userId: 'bob', getToken: async () => server.token('bob'), WebSocket: WebSocket as never, storage: 'memory' })
  onTestFinished(() => bob.destroy())
  bob.connect()
  await bob.ready()
  const last: Record<string, number> = {}
  for (const [title, n] of [['Ten thousand', 10_000], ['A thousand', 1000], ['Twenty', 20]] as const) {
    const c = await bob.conversations.open({ members: [items[0].userId], title })
    for (let i = 0; i < n; i += 200) {
      const sent = Array.from({ length: Math.min(200, n - i) }, (_, k) => c.send(`${i + k}: ${'what people say is of many lengths, '.repeat((i + k) % 7 ? (i + k) % 3 : 6)}and ends`).sent)
      last[title] = Math.max(...(await Promise.all(sent)).map(m => m.seq!))
    }
  }
  await page.reload()
  await page.locator('[data-connection=online]').waitFor()
  await page.locator('[data-conversation]', { hasText: 'Twenty' }).waitFor()
  await page.evaluate(inPage)
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('Performance.enable', { timeDomain: 'threadTicks' })
  const worked = async (): Promise<number> => (await cdp.send('Performance.getMetrics')).metrics.find(m => m.name === 'TaskDuration')!.value * 1000
  let from = 0
  const begin = async (): Promise<void> => { from = await worked() }
  const end = async (what: string, times: number[]): Promise<void> => say(what, times, await worked() - from)
  const go = (title: string, to = `.tp-msg[data-seq="${last[title]!}"]`): Promise<number> => page.evaluate(`bench.press([...document.querySelectorAll('[data-conversation]')].find(e => e.textContent.includes(${JSON.stringify(title)})), ${JSON.stringify(to)})`)
  // A first conversation brings the parts that all have; then they are there.
  await begin()
  await end('open the first conversation, 20 messages, with the parts that come late', [await go('Twenty', '.tp-msg[data-seq]')])
  await page.locator('.tp-composer textarea').waitFor()
  // What is unread opens at its beginning: from here on all is read.
  const account = createAccount({ endpoint: server.url, keep: 'memory' })
  await account.signIn('ann', 'a long password')
  const hers = createClient({ endpoint: server.url, userId: items[0].userId, getToken: why => account.getToken(why), WebSocket: WebSocket as never, storage: 'memory' })
  onTestFinished(() => hers.destroy())
  hers.connect()
  await hers.ready()
  for (const v of hers.conversations.list().value) hers.conversations.get(v.id).markRead()
  await until('all to be read', async () => (await page.title()) === 'Troupe', 60_000)
  await page.reload()
  await page.locator('[data-connection=online]').waitFor()
  await page.evaluate(inPage)
  await page.locator('[data-conversation]', { hasText: 'Twenty' }).waitFor()
  await go('Twenty')
  await begin()
  await end('open 10,000 messages at their end', [await go('Ten thousand')])
  for (const title of ['A thousand', 'Twenty', 'Ten thousand']) await go(title)
  const turns: number[] = []
  await begin()
  for (let i = 0; i < 10; i++) for (const title of ['A thousand', 'Twenty', 'Ten thousand']) turns.push(await go(title))
  await end('go to another conversation', turns)

  await page.evaluate('bench.keys.length = 0')
  await page.locator('.tp-composer textarea').focus()
  await begin()
  await page.keyboard.type('What one writes is seen as one writes it, also beside ten thousand messages. '.repeat(2), { delay: 15 })
  await until('all keys', async () => (await page.evaluate('bench.keys.length')) as number >= 150)
  await end('a key in the text', (await page.evaluate('bench.keys')) as number[])

  const sends: number[] = []
  await begin()
  for (let i = 0; i < 10; i++) {
    await page.locator('.tp-composer textarea').fill(`sent ${i}`)
    sends.push(await page.evaluate(`(async () => { const begin = performance.now(); document.querySelector('.tp-composer textarea').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true })); for (;;) { await new Promise(requestAnimationFrame); if ([...document.querySelectorAll('.tp-msg .tp-text')].some(e => e.textContent.trim() === 'sent ${i}')) return await bench.painted() - begin } })()`))
  }
  await end('send: until it is in the timeline', sends)

  await begin()
  const scrolled = (await page.evaluate('bench.scroll(300, 240)')) as { frames: number[]; rows: number }
  await end('scroll up by 240 pixels: a frame, older pages coming', scrolled.frames)
  expect(scrolled.rows).toBeLessThan(200)
  console.log(['| what one does | times | median | p95 | worst | CPU |', '|---|---|---|---|---|---|', ...rows].join('\n'))
})
