import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import { serve } from '../tools/serve.mjs'

/** The fixture page in a real browser. Errors of the page, and of its CSP, are kept for the test to look at. */
export interface Stage { open(query: string, o?: BrowserContextOptions): Promise<Page>; errors: string[]; close(): Promise<void> }

const here = fileURLToPath(new URL('..', import.meta.url))
export const chromiumPath = process.env['CHROMIUM'] ?? '/usr/bin/chromium'
export const noBrowser = !existsSync(chromiumPath)

export async function stage(): Promise<Stage> {
  const site = await serve(here + 'dist/fixtures')
  const browser: Browser = await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox'] })
  const errors: string[] = []
  return {
    errors,
    async open(query, o = {}) {
      const context = await browser.newContext({ locale: 'zh-CN', timezoneId: 'Asia/Shanghai', viewport: { width: 1160, height: 760 }, ...o })
      const page = await context.newPage()
      page.setDefaultTimeout(20_000)
      page.on('pageerror', e => errors.push(e.message))
      page.on('console', m => { if (m.type() === 'error' && !m.text().includes('404')) errors.push(m.text()) })
      await page.goto(`${site.url}?${query}`)
      await page.locator('.tp-shell, .tp-launcher').first().waitFor()
      await page.waitForLoadState('networkidle') // what comes behind the first view is there
      return page
    },
    async close() { await browser.close(); site.close() },
  }
}
