import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Locator, Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { en } from '../../vue/src/i18n/en.js'
import { zhCN } from '../../vue/src/i18n/zh-CN.js'
import { noBrowser, open } from './browser.js'
import { Admin, Host, register, rest, Server, until } from './host.js'
import { composer, ready, shot, shots, signIn } from './people.js'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
interface Finding { id: string; impact: string; nodes: { html: string; any: { message: string }[] }[] }
async function findings(p: Page): Promise<string[]> {
  await p.evaluate(axe)
  const { violations } = await p.evaluate<{ violations: Finding[] }>(`axe.run(document, { resultTypes: ['violations'] })`)
  return violations.filter(v => v.impact === 'serious' || v.impact === 'critical').map(v => `${v.id}: ${v.nodes.slice(0, 3).map(n => `${n.html.slice(0, 160)} ${n.any[0]?.message ?? ''}`).join(' | ')}`)
}

const sizes = { desktop: { width: 1160, height: 760 }, phone: { width: 390, height: 844 } }
interface Look { colorScheme: 'light' | 'dark'; size: keyof typeof sizes; locale: 'en-US' | 'zh-CN' }
const all: Look[] = (['light', 'dark'] as const).flatMap(colorScheme => (['desktop', 'phone'] as const).flatMap(size => (['en-US', 'zh-CN'] as const).map(locale => ({ colorScheme, size, locale }))))
// Each theme, size and language once; whoever wants to look at them has them all.
const looks = shots ? all : all.filter(l => (l.colorScheme === 'light') === (l.size === 'desktop') && (l.size === 'desktop') === (l.locale === 'en-US'))

const words = {
  'en-US': { group: 'The reading circle for very long novels, and for everything that is said about them afterwards', ann: 'Alexandra Konstantinopoulou-Featherstonehaugh', bob: 'Bob', bananas: 'Fresh bananas, three boxes, delivered to your door before noon', why: 'One advertisement a day', ask: '/poll "Where shall we meet on Sunday?" "At the library" "In the park, if it does not rain" Online', wrong: '/poll "Dinner?" soup', link: 'I have read this: ', title: 'How to read a very long novel', about: 'A map of two thousand pages, with places to rest.', notice: 'The service is being upgraded tonight at 23:00. It takes five minutes, and nothing is lost.' },
  'zh-CN': { group: '长篇小说共读小组：读完一起聊，也聊所有与它有关的事情（第三期）', ann: '上官婉儿·紫金山读书会组长', bob: '欧阳晓晓', bananas: '新鲜香蕉三箱，中午前送货上门', why: '每天只能发一条广告', ask: '/poll "周日在哪里见面？" 图书馆 "公园，不下雨的话" 线上', wrong: '/poll "晚饭？" 汤', link: '我读过这篇：', title: '怎样读完一部两千页的小说', about: '一张地图，标出了沿途可以歇脚的地方。', notice: '今晚 23:00 系统升级，约需五分钟，消息不会丢失。' },
}

describe.skipIf(noBrowser)('what bots, moderators and the server bring', () => {
  for (const { colorScheme, size, locale } of looks) {
    test(`is for everybody: ${colorScheme}, ${size}, ${locale}`, async () => {
      const zh = locale === 'zh-CN', t = zh ? zhCN : en, w = words[locale]
      const host = await Host.start('127.0.0.1')
      host.pages['/page'] = `<!doctype html><meta charset="utf-8"><title>${w.title}</title><meta property="og:description" content="${w.about}">`
      const server = await Server.start({ TROUPE_EGRESS_ALLOW: '127.0.0.0/8', TROUPE_BOTS_LOCALE: locale === 'zh-CN' ? 'zh-CN' : 'en' })
      const admin = await Admin.of(server)
      const bob = await register(server.url, 'bob', w.bob)
      for (const bot of ['moderator', 'poll']) await ready(server, admin.token, bot)
      const look = { colorScheme, locale, viewport: sizes[size], deviceScaleFactor: shots ? 1.5 : 1, reducedMotion: 'reduce' as const, hasTouch: size === 'phone' }
      const ann = await open(look)
      await ann.goto(server.url)
      await ann.locator('#tab-up').click()
      await ann.locator('[name=username]').fill('ann')
      await ann.locator('[name=nickname]').fill(w.ann)
      await ann.locator('[name=password]').fill('a long password')
      await ann.locator('[name=password]').press('Enter')
      await ann.locator('[data-connection=online]').waitFor()
      const token = await ann.evaluate<string>('JSON.parse(localStorage["troupe.login"]).token')
      const { result: [session] } = await rest(server.url, 'POST', '/sessions', { sessionType: 'group', name: w.group, members: [bob.id, 'b_moderator', 'b_poll'] }, token).then(r => (r.result ? r : { result: [r.session] }))
      const says = (text: string) => rest(server.url, 'POST', `/sessions/${session}/messages`, { clientMsgId: String(Math.random()), content: { type: 'text', text } }, bob.token)
      const seen = async (name: string, what: Locator, p = ann): Promise<void> => {
        await what.first().waitFor()
        await shot(p, `${name}-${colorScheme}-${size}-${locale}`)
        // A row that is being measured is not shown, and has no name yet.
        let serious: string[] = []
        await until(name, async () => !(serious = await findings(p)).length, 5000).catch(() => found.push(...serious.map(f => name + ': ' + f)))
        if (!(await p.evaluate('document.documentElement.scrollWidth <= innerWidth'))) found.push(name + ' is wider than the window')
      }
      const found: string[] = []
      // On a touch screen Enter begins a new line.
      const send = async (text: string): Promise<void> => { await composer(ann).fill(text); await ann.getByRole('button', { name: t['composer.send'] as string, exact: true }).click() }
      const card = (text: string | RegExp): Locator => ann.locator('.tp-card', { hasText: text })

      await ann.locator(`[data-conversation="${session}"]`).click()
      await says(w.link + host.origin + '/page')
      await seen('consent', card('Moderator').locator('button:enabled'))
      await seen('link', ann.locator('.tp-link', { hasText: w.title }))
      // The owner decides by the keyboard alone: up to the card, into it, and the first button.
      await ann.getByRole('log').focus()
      for (let i = 0; i < 30 && !(await ann.evaluate('document.activeElement.matches(".tp-msg") && !!document.activeElement.querySelector(".tp-card button:enabled")')); i++) await ann.keyboard.press('ArrowUp')
      for (let i = 0; i < 8 && !(await ann.evaluate('document.activeElement.matches(".tp-card button")')); i++) await ann.keyboard.press('Tab')
      await ann.keyboard.press('Enter')
      await until('the card to be locked', async () => (await card('Moderator').locator('button:enabled').count()) === 0)

      await composer(ann).pressSequentially('/po')
      await seen('commands', ann.getByRole('listbox', { name: t['command.label'] as string }).getByRole('option'))
      await composer(ann).press('Tab')
      await seen('arguments', ann.locator('.tp-command-line .is-now'))
      await send(w.wrong)
      await seen('whisper', ann.locator('.tp-msg.is-whisper'))
      await send(w.ask)
      await card(/\?|？/).locator('button:enabled').first().click()
      await seen('poll', card(/1/).locator('button:enabled'))

      const hold = zh ? '香蕉' : 'bananas'
      await send('/mod hold ' + hold)
      await card(hold).waitFor()
      await says(w.bananas)
      const held = ann.locator('.tp-held')
      await seen('held', held.locator('button'))
      await held.getByRole('button', { name: t['deal.show'] as string, exact: true }).click()
      await seen('held-shown', held.getByText(w.bananas))
      await held.getByRole('button', { name: t['deal.rejectMore'] as string }).click()
      await ann.getByRole('dialog').getByRole('textbox').fill(w.why)
      await seen('reject', ann.getByRole('dialog'))
      await ann.getByRole('dialog').getByRole('button', { name: t['deal.reject'] as string, exact: true }).click()
      await until('nothing to be asked any more', async () => (await held.count()) === 0)
      await says(w.bananas)
      await held.waitFor()
      await ann.locator('.tp-header-who').click()
      await ann.getByRole('button', { name: new RegExp(t['deal.title'] as string) }).click()
      await seen('held-sheet', ann.getByRole('dialog', { name: t['deal.title'] as string }).locator('[data-held]'))
      await ann.keyboard.press('Escape')
      await ann.keyboard.press('Escape')

      await rest(server.url, 'POST', '/notices', { everybody: true, clientMsgId: 'n1', content: { type: 'system', text: w.notice } }, admin.token)
      if (size === 'phone') await ann.getByRole('button', { name: new RegExp('^' + t['back']) }).click()
      await ann.locator('[data-conversation]', { hasText: w.notice.slice(0, 8) }).first().click()
      await seen('notice', ann.getByText(w.notice).last())
      // A part of an older build is not to be had any more.
      await ann.route('**/EmojiPanel.js*', r => r.abort())
      if (size === 'phone') await ann.getByRole('button', { name: new RegExp('^' + t['back']) }).click()
      await ann.locator(`[data-conversation="${session}"]`).click()
      await ann.getByRole('button', { name: t['composer.emoji'] as string, exact: true }).click()
      await seen('stale', ann.locator('.tp-stale'))

      const bobs = await open({ ...look, viewport: sizes.phone })
      await signIn(bobs, server.url, 'bob')
      await bobs.locator(`[data-conversation="${session}"]`).click()
      await until('the end to be in view', async () => { // it opens at what is unread
        if (await bobs.locator('.tp-jump-end').count()) await bobs.locator('.tp-jump-end').click({ timeout: 1000 }).catch(() => {})
        return bobs.getByText(w.why).first().isVisible()
      })
      await seen('rejected', bobs.getByText(w.why), bobs)

      const root = await open(look)
      await signIn(root, server.url, 'root')
      const menu = async (item: string): Promise<void> => {
        await until('the menu to have ' + item, async () => {
          await root.getByRole('button', { name: t['profile.menu'] as string }).click()
          if (await root.getByRole('menuitem', { name: item }).isVisible().catch(() => false)) return true
          await root.keyboard.press('Escape')
          return false
        }, 60_000)
        await root.getByRole('menuitem', { name: item }).click()
      }
      await menu(zh ? '机器人' : 'Bots')
      await seen('bots', root.locator('[data-bot=poll][data-state=ready]'), root)
      await root.locator('[data-bot=poll]').click()
      await seen('bots-one', root.locator('.page-one-head'), root)
      await root.keyboard.press('Escape')
      await menu(zh ? '待审核消息' : 'Held messages')
      const box = root.locator('dialog[open]')
      await box.getByRole('textbox').fill('bob')
      await box.getByRole('textbox').press('Enter')
      await box.locator(`[data-place="${session}"]`).click()
      await box.locator('[data-action=show]').first().click()
      await seen('held-admin', box.getByText(w.bananas), root)
      expect(found).toEqual([])
    }, 300_000)
  }
})
