// @vitest-environment node
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { noBrowser, stage, type Stage } from './page'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
interface Finding { id: string; impact: string; nodes: { html: string; any: { message: string }[] }[] }
async function findings(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  const r = await page.evaluate(() => (window as unknown as { axe: { run(el: Element, o: object): Promise<{ violations: Finding[] }> } }).axe.run(document.querySelector('.tp')!, { resultTypes: ['violations'] }))
  return r.violations.filter(v => v.impact === 'serious' || v.impact === 'critical').map(v => `${v.id}: ${v.nodes.slice(0, 3).map(n => `${n.html.slice(0, 160)} ${n.any[0]?.message ?? ''}`).join(' | ')}`)
}
/** Nothing is found once the page has come to rest: a row that is being measured is not shown, and has no name yet. */
const clean = (page: Page, what: string) => expect.poll(() => findings(page), { message: what, timeout: 15_000, interval: 200 }).toEqual([])
const log = (page: Page) => page.getByRole('log')
const composer = (page: Page) => page.getByRole('textbox', { name: '输入消息' })
interface Window_ { client: { fixture: { receive(c: string, from: string, text: string): void; stream(c: string): void; setState(s: string, retry?: number): void; kick(code: string): void; notice(text: string): void } }; events: unknown[][] }
const run = <T>(page: Page, f: (w: Window_) => T) => page.evaluate(`(${f.toString()})(window)`) as Promise<T>

/** Where the messages in view stand: by their ids, in pixels. */
const places = (page: Page) => page.evaluate(() => {
  const box = document.querySelector('.tp-scroll')!, view = box.getBoundingClientRect()
  return Object.fromEntries([...box.querySelectorAll<HTMLElement>('.tp-msg')].map(el => [el.dataset['key']!, el.getBoundingClientRect()] as const).filter(([, r]) => r.bottom > view.top && r.top < view.bottom).map(([k, r]) => [k, r.top]))
})
interface Node { nodeId: string; childIds?: string[]; ignored: boolean; role?: { value: string }; name?: { value: string }; properties?: { name: string; value: { value: unknown } }[] }
/** What a screen reader is given of the page: the live regions with what is said in them, and the messages' names in order. */
async function spoken(page: Page): Promise<{ said: string[]; messages: string[] }> {
  const c = await page.context().newCDPSession(page)
  const { nodes } = (await c.send('Accessibility.getFullAXTree')) as unknown as { nodes: Node[] }
  await c.detach()
  const byId = new Map(nodes.map(n => [n.nodeId, n]))
  const texts = (n: Node): string[] => n.role?.value === 'StaticText' ? [n.name!.value] : (n.childIds ?? []).flatMap(id => { const child = byId.get(id); return child ? texts(child) : [] })
  const live = (n: Node): boolean => !n.ignored && !!n.properties?.some(p => p.name === 'live' && p.value.value === 'polite')
  const first: Node[] = []
  const walk = (n: Node, inside: boolean): void => { // in the order of the tree
    if (!inside && live(n)) { first.push(n); inside = true }
    if (n.role?.value === 'article') names.push(n.name?.value ?? '')
    for (const id of n.childIds ?? []) { const child = byId.get(id); if (child) walk(child, inside) }
  }
  const names: string[] = []
  walk(nodes[0]!, false)
  return { said: first.flatMap(texts), messages: names }
}
const settled = (page: Page) => page.evaluate(() => new Promise<void>(done => {
  let last = '', same = 0
  const look = () => {
    const box = document.querySelector('.tp-scroll'), now = box ? `${box.scrollTop} ${box.scrollHeight}` : '' + Math.random()
    same = now === last ? same + 1 : 0
    last = now
    if (same > 8) done()
    else requestAnimationFrame(look)
  }
  look()
}))
function shift(before: Record<string, number>, after: Record<string, number>): number {
  const both = Object.keys(before).filter(k => k in after)
  expect(both.length).toBeGreaterThan(0)
  return Math.max(...both.map(k => Math.abs(before[k]! - after[k]!)))
}

describe.skipIf(noBrowser)('the chat in a browser', () => {
  let s: Stage
  beforeAll(async () => { s = await stage() })
  afterAll(() => s.close())
  afterEach(() => { expect(s.errors.splice(0)).toEqual([]) })

  it('sends, shows it at once, and ticks it off', async () => {
    const page = await s.open('open=s_lin')
    await composer(page).fill('马上到')
    await composer(page).press('Enter')
    const message = log(page).locator('.tp-msg', { hasText: '马上到' })
    await message.waitFor()
    await expect.poll(() => message.getAttribute('data-status')).toBe('read')
    expect(await composer(page).inputValue()).toBe('')
    expect(await page.locator('.tp-msg', { hasText: '马上到' }).count()).toBe(1)
  })
  it('lets the host keep a message back, and tells it what was sent', async () => {
    const page = await s.open('open=s_lin')
    await composer(page).fill('no')
    await composer(page).press('Enter')
    expect(await composer(page).inputValue()).toBe('no')
    await composer(page).fill('yes')
    await composer(page).press('Enter')
    await expect.poll(() => run(page, w => w.events.map(e => e[0]))).toEqual(['before-send', 'before-send', 'sent'])
  })
  it('does not send while an input method composes', async () => {
    const page = await s.open('open=s_lin')
    await composer(page).focus()
    const c = await page.context().newCDPSession(page)
    await c.send('Input.imeSetComposition', { text: '你好', selectionStart: 2, selectionEnd: 2 })
    await composer(page).dispatchEvent('keydown', { key: 'Enter', keyCode: 229, isComposing: true })
    expect(await composer(page).inputValue()).toBe('你好')
    await c.send('Input.insertText', { text: '你好' })
    await composer(page).press('Enter')
    await log(page).locator('.tp-msg', { hasText: '你好' }).waitFor()
  })
  it('opens 10,000 messages with fewer than 200 rows, and nothing jumps while earlier ones come', async () => {
    const page = await s.open('open=s_big&long=10000')
    await log(page).locator('.tp-msg').first().waitFor()
    await settled(page)
    expect(await page.locator('.tp-msg').count()).toBeLessThan(200)
    expect(await page.locator('.tp-msg', { hasText: '消息 9999' }).count()).toBe(1)
    let most = 0, loads = 0
    await log(page).hover()
    for (let i = 0; i < 48; i++) {
      const height = await page.evaluate(() => document.querySelector('.tp-scroll')!.scrollHeight)
      const top = await page.evaluate(() => document.querySelector('.tp-scroll')!.scrollTop)
      await page.mouse.wheel(0, -160)
      await page.waitForFunction(t => document.querySelector('.tp-scroll')!.scrollTop !== t, top)
      const before = await places(page)
      await settled(page)
      const grown = await page.evaluate(() => document.querySelector('.tp-scroll')!.scrollHeight)
      if (grown > height + 500) loads++
      most = Math.max(most, shift(before, await places(page)))
    }
    expect(loads).toBeGreaterThan(1)
    expect(most).toBeLessThan(1)
    expect(await page.locator('.tp-msg').count()).toBeLessThan(200)
  })
  it('stays where one reads while others write, counts them, and leads to the end', async () => {
    const page = await s.open('open=s_big&long=400')
    await settled(page)
    await page.evaluate(() => { document.querySelector('.tp-scroll')!.scrollTop -= 1500 })
    await settled(page)
    const before = await places(page)
    for (let i = 0; i < 3; i++) await run(page, w => { w.client.fixture.receive('s_big', 'u_wei', '新的一条') })
    await settled(page)
    expect(shift(before, await places(page))).toBeLessThan(1)
    const button = page.getByRole('button', { name: '回到最新消息 3 条未读' })
    await button.click()
    await page.locator('.tp-msg', { hasText: '新的一条' }).first().waitFor()
    await expect.poll(() => page.evaluate(() => { const el = document.querySelector('.tp-scroll')!; return Math.round(el.scrollHeight - el.scrollTop - el.clientHeight) })).toBeLessThan(2)
    await expect.poll(() => page.locator('.tp-jump-end').count()).toBe(0)
  })
  it('stays at the end while a hundred short messages come in one after the other', async () => {
    const page = await s.open('open=s_big')
    await settled(page)
    await page.evaluate(() => { const el = document.querySelector('.tp-scroll')!; el.scrollTop = el.scrollHeight })
    await settled(page)
    await page.evaluate(async () => {
      const w = window as unknown as Window_
      for (let i = 0; i < 100; i++) {
        w.client.fixture.receive('s_big', 'u_wei', i % 3 ? '嗯' : '周末去爬山吧，第 ' + i + ' 条')
        if (i % 4 === 0) await new Promise(r => setTimeout(r, i % 40))
      }
    })
    await settled(page)
    await expect.poll(() => page.evaluate(() => { const el = document.querySelector('.tp-scroll')!; return Math.round(el.scrollHeight - el.scrollTop - el.clientHeight) })).toBeLessThan(2)
    expect(await page.locator('.tp-jump-end').count()).toBe(0)
  })
  it('follows a reply that streams in while one is at the end, and can stop it', async () => {
    const page = await s.open('open=s_bot')
    await settled(page)
    await run(page, w => { w.client.fixture.stream('s_bot') })
    await page.locator('.tp-code').last().waitFor()
    await page.locator('.tp-md-table').last().waitFor()
    await settled(page)
    expect(await page.evaluate(() => { const el = document.querySelector('.tp-scroll')!; return el.scrollHeight - el.scrollTop - el.clientHeight })).toBeLessThan(2)
    await run(page, w => { w.client.fixture.stream('s_bot') })
    await page.getByRole('button', { name: '停止生成' }).click()
    await expect.poll(() => page.getByText('已停止').count()).toBe(2)
  })
  it('stays where one reads while a reply streams in', async () => {
    const page = await s.open('open=s_bot')
    await settled(page)
    await page.evaluate(() => { document.querySelector('.tp-scroll')!.scrollTop -= 300 })
    await settled(page)
    const before = await places(page)
    await run(page, w => { w.client.fixture.stream('s_bot') })
    await page.waitForFunction(() => (window as unknown as Window_).client !== undefined && document.querySelectorAll('.tp-send.is-stop').length === 0 && document.querySelector('.tp-scroll')!.scrollHeight > 1200)
    await settled(page)
    expect(shift(before, await places(page))).toBeLessThan(1)
  })
  it('moves between messages by arrows, opens actions by Enter, and steps back by Esc', async () => {
    const page = await s.open('open=s_lin')
    await settled(page)
    await log(page).focus()
    await page.keyboard.press('ArrowUp')
    await expect.poll(() => page.evaluate(() => document.activeElement?.getAttribute('data-key') ?? '')).not.toBe('')
    const last = await page.evaluate(() => document.activeElement!.getAttribute('data-key'))
    await page.keyboard.press('ArrowUp')
    await expect.poll(() => page.evaluate(() => document.activeElement?.getAttribute('data-key'))).not.toBe(last)
    await page.keyboard.press('Enter')
    await page.getByRole('menuitem', { name: '回复' }).waitFor()
    await page.keyboard.press('Escape')
    await expect.poll(() => page.getByRole('menu').count()).toBe(0)
    await expect.poll(() => page.evaluate(() => document.activeElement?.className ?? '')).toContain('tp-msg')
    await page.keyboard.press('Escape')
    await expect.poll(() => page.evaluate(() => document.activeElement?.tagName)).toBe('TEXTAREA')
  })
  it('answers, edits, recalls and writes it anew', async () => {
    const page = await s.open('open=s_lin')
    await settled(page)
    const own = log(page).locator('.tp-msg', { hasText: '晚点见' })
    await own.locator('.tp-bubble').click({ button: 'right' })
    await page.getByRole('menuitem', { name: '编辑' }).click()
    await expect.poll(() => composer(page).inputValue()).toBe('晚点见')
    await composer(page).fill('晚一点见')
    await composer(page).press('Enter')
    const edited = log(page).locator('.tp-msg', { hasText: '晚一点见' })
    await edited.getByText('已编辑').waitFor()
    await edited.locator('.tp-bubble').click({ button: 'right' })
    await page.getByRole('menuitem', { name: '撤回' }).click()
    await page.getByRole('dialog').getByRole('button', { name: '撤回' }).click()
    await log(page).getByText('你撤回了一条消息').waitFor()
    await page.getByRole('button', { name: '重新编辑' }).click()
    await expect.poll(() => composer(page).inputValue()).toBe('晚一点见')
  })
  it('reacts, and takes it back', async () => {
    const page = await s.open('open=s_lin')
    await settled(page)
    const message = log(page).locator('.tp-msg', { hasText: '下午的评审你来吗' })
    await message.locator('.tp-bubble').click({ button: 'right' })
    await page.getByRole('menuitem', { name: '用 👍 回应' }).click()
    const pill = message.getByRole('button', { name: /👍/ })
    await pill.waitFor()
    await pill.click()
    await expect.poll(() => pill.count()).toBe(0)
  })
  it('mentions by name, with the keyboard alone', async () => {
    const page = await s.open('open=s_hike')
    await settled(page)
    await composer(page).pressSequentially('请@周')
    await page.getByRole('option', { name: '周以安' }).waitFor()
    await page.keyboard.press('Enter')
    await expect.poll(() => composer(page).inputValue()).toBe('请@周以安 ')
    await composer(page).press('Enter')
    await log(page).getByRole('button', { name: '@周以安' }).waitFor()
  })
  it('finds words, leads to the place and flashes it', async () => {
    const page = await s.open('open=s_hike')
    await settled(page)
    await page.getByRole('button', { name: '搜索消息' }).click()
    await page.getByRole('searchbox', { name: '搜索消息' }).fill('接龙')
    await page.locator('.tp-hit mark', { hasText: '接龙' }).waitFor()
    await page.locator('.tp-hit').click()
    await page.locator('.tp-msg.is-flash', { hasText: '接龙' }).waitFor()
  })
  it('shows no list beside the chat where it is narrow, and leads back by a button and by Esc', async () => {
    const page = await s.open('', { viewport: { width: 390, height: 780 } })
    await page.locator('[data-conversation="s_lin"]').click()
    await composer(page).waitFor()
    await expect.poll(() => page.locator('.tp-list-pane').count()).toBe(0)
    await page.getByRole('button', { name: /^返回/ }).click()
    await page.locator('[data-conversation="s_lin"]').waitFor()
    await expect.poll(() => page.locator('.tp-pane').count()).toBe(0)
  })
  it('says that the connection is gone, counts what waits, and never locks', async () => {
    const page = await s.open('open=s_lin')
    await run(page, w => { w.client.fixture.setState('waiting', 60_000) })
    await page.getByText('网络已断开，正在重新连接…').waitFor()
    await composer(page).fill('断网时写的')
    await composer(page).press('Enter')
    await page.getByText('1 条消息待发送').waitFor()
    await page.getByRole('button', { name: '立即重试' }).click()
    await page.getByText('已恢复连接').waitFor()
  })
  it('says that another device took over, with one button', async () => {
    const page = await s.open('open=s_lin')
    await run(page, w => { w.client.fixture.kick('REPLACED') })
    await page.getByRole('alert').getByText('已在别处打开').waitFor()
    expect(await page.getByRole('alert').getByRole('button').count()).toBe(1)
  })
  it('checks a form, says what is missing, and locks when it was sent', async () => {
    const page = await s.open('open=s_desk')
    await page.getByRole('button', { name: '提交预约' }).click()
    await page.getByText('必填').waitFor()
    expect(await page.evaluate(() => (document.activeElement as HTMLInputElement).placeholder)).toBe('11 位手机号')
    await page.getByPlaceholder('11 位手机号').fill('13800000000')
    await page.getByRole('button', { name: '提交预约' }).click()
    await page.getByRole('button', { name: '已提交' }).waitFor()
    expect(await page.getByPlaceholder('11 位手机号').isDisabled()).toBe(true)
  })
  it('shows two pictures as large under a short caption as without one', async () => {
    const page = await s.open('open=s_lin')
    const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64')
    await page.locator('input[type=file]').first().setInputFiles(['a.png', 'b.png'].map(name => ({ name, mimeType: 'image/png', buffer: png })))
    await page.locator('.tp-composer textarea').fill('好')
    await page.getByRole('button', { name: '发送', exact: true }).click()
    const tiles = page.locator('.tp-bubble.is-flush', { hasText: '好' }).locator('.tp-tiles')
    await expect.poll(async () => (await tiles.boundingBox())?.width).toBe(284)
  })
  it('takes files by choosing and by pasting, and shows them before they go', async () => {
    const page = await s.open('open=s_lin')
    await page.locator('input[type=file]').first().setInputFiles([{ name: '说明.pdf', mimeType: 'application/pdf', buffer: Buffer.from('x'.repeat(2000)) }])
    await page.getByText('说明.pdf').waitFor()
    await page.getByRole('button', { name: '移除 说明.pdf' }).click()
    await page.locator('input[type=file]').first().setInputFiles([{ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('hello') }])
    await page.getByRole('button', { name: '发送', exact: true }).click()
    await log(page).locator('.tp-file', { hasText: 'a.txt' }).waitFor()
  })
  it('tells a screen reader what others write: a few one by one and in order, many by their number', async () => {
    const page = await s.open('open=s_lin')
    await settled(page)
    expect((await spoken(page)).said).toEqual([])
    await run(page, w => { for (const text of ['到了', '到了', '你在哪']) w.client.fixture.receive('s_lin', 'u_lin', text) })
    await expect.poll(async () => (await spoken(page)).said).toEqual(['林晚舟：到了', '林晚舟：到了', '林晚舟：你在哪'])
    expect((await spoken(page)).messages.slice(-3).map(m => m.replace(/.*：/, ''))).toEqual(['到了', '到了', '你在哪'])
    await run(page, w => { w.client.fixture.receive('s_hike', 'u_lin', '别处的一条') })
    await run(page, w => { for (let i = 0; i < 20; i++) w.client.fixture.receive('s_lin', 'u_lin', `第 ${i} 条`) })
    await expect.poll(async () => (await spoken(page)).said.at(-1)).toBe('20 条新消息')
    expect((await spoken(page)).said.filter(x => /第|别处/.test(x))).toEqual([])
  })
  it('speaks in a dialog too, as all around it is silent then, and shows there what was done', async () => {
    const page = await s.open('open=s_lin')
    await settled(page)
    await run(page, w => { w.client.fixture.receive('s_lin', 'u_lin', '先前的') })
    await expect.poll(async () => (await spoken(page)).said).toEqual(['林晚舟：先前的'])
    await page.getByRole('button', { name: '资料与状态' }).click()
    await page.getByRole('menuitem', { name: /资料/ }).first().click()
    await page.getByRole('dialog').waitFor()
    expect((await spoken(page)).said).toEqual([])
    await run(page, w => { w.client.fixture.receive('s_lin', 'u_lin', '现在的'); w.client.fixture.notice('今晚维护') })
    await expect.poll(async () => (await spoken(page)).said).toEqual(['今晚维护', '林晚舟：现在的'])
    const toast = page.getByRole('dialog').locator('.tp-toast', { hasText: '今晚维护' })
    expect(await toast.isVisible()).toBe(true)
    expect(await page.locator('.tp-toast').count()).toBe(1)
  })
  it('moves nothing where less motion is wanted', async () => {
    for (const [q, then] of [['open=s_bot', (w: Window_) => { w.client.fixture.stream('s_bot') }], ['open=s_hike', (w: Window_) => { w.client.fixture.receive('s_hike', 'u_lin', '来了') }]] as const) {
      const page = await s.open(q, { reducedMotion: 'reduce' })
      await settled(page)
      await page.evaluate(`window.moved = []; const look = () => { for (const a of document.getAnimations()) if (a.effect.getComputedTiming().duration > 1 || a.effect.getComputedTiming().iterations > 1) moved.push(a.animationName ?? a.transitionProperty); requestAnimationFrame(look) }; look()`)
      await run(page, then)
      await page.locator('.tp-header-who').click()
      await page.locator('.tp-panel').waitFor()
      await page.keyboard.press('Escape')
      await expect.poll(() => page.locator('.tp-panel').count()).toBe(0)
      expect(await page.evaluate('[...new Set(moved)]'), q).toEqual([])
    }
  })
  it('opens pictures large, moves between them, and gives the focus back', async () => {
    const page = await s.open('open=s_hike')
    await settled(page)
    await page.locator('.tp-tiles .tp-image').first().click()
    await page.locator('.tp-lightbox img').waitFor()
    await page.keyboard.press('ArrowRight')
    await page.getByText('3 / 4').waitFor()
    await page.keyboard.press('Escape')
    await expect.poll(() => page.locator('dialog').count()).toBe(0)
    expect(await page.evaluate(() => document.activeElement?.className)).toContain('tp-image')
  })
  it('hands links to the host before they open', async () => {
    const page = await s.open('open=s_hike')
    await page.getByRole('link', { name: 'https://example.com/hangzhou/jiuxi' }).click()
    expect(await run(page, w => w.events.filter(e => e[0] === 'link'))).toEqual([['link', 'https://example.com/hangzhou/jiuxi']])
  })
  it('does not scroll sideways at 320 pixels, nor at 200 %', async () => {
    for (const o of [{ viewport: { width: 320, height: 600 } }, { viewport: { width: 580, height: 380 }, deviceScaleFactor: 2 }]) {
      for (const q of ['open=s_hike', 'open=s_bot', 'open=s_desk', 'open=s_long', '']) {
        const page = await s.open(q, o)
        await page.locator('.tp-msg, .tp-conv').first().waitFor()
        const wide = await page.evaluate(() => [...document.querySelectorAll('.tp, .tp-pane, .tp-scroll, .tp-list-scroll')].filter(el => el.scrollWidth > el.clientWidth + 1).map(el => el.className))
        expect(wide, q).toEqual([])
        await page.context().close()
      }
    }
  })
  for (const theme of ['light', 'dark']) {
    for (const [size, viewport] of Object.entries({ desktop: { width: 1160, height: 760 }, phone: { width: 390, height: 800 } })) {
      it(`has no serious finding of axe: ${theme}, ${size}`, async () => {
        for (const q of ['open=s_hike', 'open=s_bot', 'open=s_desk', 'scene=offline&open=s_lin', 'open=s_noor', '', 'open=s_ops']) {
          const page = await s.open(`theme=${theme}&${q}`, { viewport, reducedMotion: 'reduce' })
          await page.locator('.tp-msg, .tp-conv, .tp-empty').first().waitFor()
          if (q.includes('open')) await page.locator('.tp-scroll.is-placed').waitFor()
          await clean(page, q)
          if (q === 'open=s_hike') {
            await page.locator('.tp-header-who').click()
            await page.getByText('入群方式').waitFor()
            await clean(page, 'info')
          }
          if (q === '') {
            await page.getByRole('tab', { name: '通讯录' }).click()
            await page.locator('.tp-person').first().waitFor()
            await clean(page, 'contacts')
          }
          await page.context().close()
        }
      })
    }
  }
})
