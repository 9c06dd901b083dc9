import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Frame, Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { noBrowser, open } from './browser.js'
import { Admin, Host, register, Server, until } from './host.js'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe finds of weight, by rule and place. */
async function findings(p: Page | Frame): Promise<string[]> {
  await p.evaluate(axe)
  return p.evaluate(`axe.run(document, { resultTypes: ['violations'] }).then(r => r.violations.filter(v => v.impact === 'serious' || v.impact === 'critical').map(v => v.id + ': ' + v.nodes.map(n => n.target.join(' ')).join(', ')))`)
}

describe.skipIf(noBrowser)('for those who use other means than eyes and a mouse', () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    test(`the page at / and the frame have no serious findings, ${colorScheme}`, async () => {
      const server = await Server.start()
      const admin = await Admin.of(server)
      const ann = await register(server.url, 'bob', 'Bob')
      const host = await Host.start()
      const app = await admin.app([host.origin], { members: [ann.id], guests: true })
      const p = await open({ colorScheme })
      await p.goto(server.url)
      await p.locator('#tab-up').click()
      expect(await findings(p)).toEqual([])
      await p.locator('[name=username]').fill('ann')
      await p.locator('[name=password]').fill('a long password')
      await p.locator('[name=password]').press('Enter')
      await p.locator('[data-connection=online]').waitFor()
      await p.getByRole('button', { name: 'Profile and status' }).click()
      await p.getByRole('menuitem', { name: 'Settings' }).click()
      await p.locator('[data-device]').first().waitFor()
      await until('the dialog to be still', () => p.evaluate('document.getAnimations().length === 0'))
      expect(await findings(p)).toEqual([])

      host.pages['/'] = `<!doctype html><html lang="en"><title>Shop</title><h1>Shop</h1><script async src="${server.url}/embed/v1/troupe.js" data-app="${app.id}" data-theme="${colorScheme}"></script>`
      const q = await open({ colorScheme })
      await q.goto(host.origin)
      await q.locator('troupe-launcher button').click()
      await until('the frame', () => q.frames().some(x => x.url().includes('/embed/v1/frame')))
      const f = q.frames().find(x => x.url().includes('/embed/v1/frame'))!
      await f.locator('textarea').fill('Hello')
      await f.locator('textarea').press('Enter')
      await f.locator('[data-status=sent], [data-status=delivered]').first().waitFor()
      await until('it to be still', () => f.evaluate('document.getAnimations().length === 0'))
      expect(await findings(f)).toEqual([])
      expect(await findings(q)).toEqual([])
    })
  }
})
