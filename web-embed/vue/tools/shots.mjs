// Takes the set of screenshots that looks are judged by: `node tools/shots.mjs OUT [part of a name]`.
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { serve } from './serve.mjs'

const out = process.argv[2] ?? 'dist/shots', only = process.argv[3] ?? ''
mkdirSync(out, { recursive: true })
const site = await serve(fileURLToPath(new URL('../dist/fixtures', import.meta.url)))
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--font-render-hinting=none'] })

const sizes = { split: { width: 1160, height: 760 }, phone: { width: 390, height: 844 }, list: { width: 390, height: 844 }, launcher: { width: 900, height: 800 } }
const scenes = {
  rich: { q: 'open=s_hike' }, streaming: { q: 'scene=stream&open=s_bot' }, bot: { q: 'open=s_bot' }, offline: { q: 'scene=offline&open=s_lin' }, empty: { q: 'open=s_noor' },
  search: { q: 'open=s_hike', then: async p => { await p.getByRole('button', { name: '搜索消息' }).first().click(); await p.getByRole('searchbox', { name: '搜索消息' }).fill('九溪'); await p.locator('.tp-hit').first().waitFor() } },
  form: { q: 'open=s_desk' },
  info: { q: 'open=s_hike', then: async p => { await p.locator('.tp-header-who').click(); await p.getByText('入群方式').waitFor() } },
  menu: { q: 'open=s_hike', then: async p => { await p.getByText('我带零食和急救包').click({ button: 'right' }); await p.getByRole('menuitem', { name: '转发' }).waitFor() } },
  contacts: { q: '', then: async p => { await p.getByRole('tab', { name: '通讯录' }).click(); await p.locator('.tp-request').first().waitFor() } },
}
const errors = []
for (const theme of ['light', 'dark']) for (const [size, viewport] of Object.entries(sizes)) for (const [scene, { q, then }] of Object.entries(scenes)) {
  const name = `${theme}-${size}-${scene}`
  if (size === 'list' && scene !== 'rich' && scene !== 'contacts' && scene !== 'offline') continue
  if ((size === 'phone' || size === 'launcher') && scene === 'contacts') continue
  if (!name.includes(only)) continue
  const page = await browser.newPage({ viewport, deviceScaleFactor: size === 'phone' || size === 'list' ? 2 : 1.5, locale: 'zh-CN', timezoneId: 'Asia/Shanghai', colorScheme: theme, hasTouch: size === 'phone' || size === 'list', isMobile: size === 'phone' || size === 'list' })
  page.setDefaultTimeout(4000)
  page.on('pageerror', e => errors.push(`${name}: ${e.message}`))
  page.on('console', m => { if (m.type() === 'error' && !m.text().includes('404')) errors.push(`${name}: ${m.text()}`) })
  const query = size === 'list' ? q.replace(/open=\w+/, '') : q
  await page.goto(`${site.url}?theme=${theme}&${query}${size === 'launcher' ? '&layout=launcher&opened' : ''}`)
  await page.locator('.tp-conv, .tp-msg, .tp-empty').first().waitFor()
  await page.waitForTimeout(scene === 'offline' ? 2600 : 700)
  try { await then?.(page) } catch (e) { errors.push(`${name}: ${e.message.split('\n')[0]}`) }
  await page.waitForTimeout(350)
  await page.screenshot({ path: `${out}/${name}.png` })
  await page.close()
}
await browser.close()
site.close()
if (errors.length) { console.log([...new Set(errors)].join('\n')); process.exitCode = 1 }
