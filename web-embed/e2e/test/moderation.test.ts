import type { Locator, Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { noBrowser, open } from './browser.js'
import { Admin, rest, Server, until } from './host.js'
import { composer, group, openFirst, ready, say, shot, shots, signIn, signUp } from './people.js'

const message = (p: Page, text: string): Locator => p.locator('.tp-msg', { hasText: text })
const consent = (p: Page): Locator => p.locator('.tp-card', { hasText: 'May Moderator do this here?' })

describe.skipIf(noBrowser)('moderation on the page', () => {
  test('begins when the owner allows it, and what it holds back is decided on by who leads the group, and by administrators', async () => {
    const server = await Server.start()
    const admin = await Admin.of(server)
    await ready(server, admin.token, 'moderator')
    const [ann, bob] = [await open({ deviceScaleFactor: shots ? 1.5 : 1 }), await open({ viewport: { width: 390, height: 844 }, deviceScaleFactor: shots ? 2 : 1 })]
    await signUp(ann, server.url, 'ann', 'Ann')
    await signUp(bob, server.url, 'bob', 'Bob')
    await group(ann, 'Market', ['bob', 'Bob'], ['', 'Moderator'])
    await openFirst(bob, 'Market')

    // A card asks whether the bot may; members may not say so.
    for (const p of [ann, bob]) await consent(p).getByText('looks at messages before others see them').waitFor()
    await shot(ann, 'consent')
    await consent(bob).getByRole('button', { name: 'Allow' }).click()
    await bob.locator('.tp-msg.is-whisper', { hasText: 'Only the owner and the admins' }).waitFor()
    await consent(ann).getByRole('button', { name: 'Allow' }).click()
    for (const p of [ann, bob]) {
      await consent(p).getByText('Allowed.').waitFor()
      expect(await consent(p).locator('button:enabled').count()).toBe(0)
    }

    await say(ann, '/mod hold bananas')
    await ann.locator('.tp-card', { hasText: 'bananas' }).waitFor()
    await say(bob, 'I have bananas for sale')
    await message(bob, 'Held back until it is reviewed').waitFor()
    const held = ann.locator('.tp-held')
    await held.getByText('Held back by Moderator').waitFor()
    expect(await ann.getByText('bananas for sale').count()).toBe(0)
    expect(await bob.locator('.tp-held').count()).toBe(0)
    await held.getByRole('button', { name: 'Show', exact: true }).click()
    await held.getByText('I have bananas for sale').waitFor()
    await shot(ann, 'held')
    await held.getByRole('button', { name: 'Let through' }).click()
    for (const p of [ann, bob]) await p.locator('.tp-msg .tp-text', { hasText: 'I have bananas for sale' }).waitFor()
    await until('nothing to be asked any more', async () => (await held.count()) === 0)

    // All that waits, on one sheet; a rejection says why.
    await say(bob, 'And more bananas')
    await message(bob, 'Held back until it is reviewed').waitFor()
    await ann.locator('.tp-header-who').click()
    await ann.getByRole('button', { name: /Waiting for review/ }).click()
    const sheet = ann.getByRole('dialog', { name: 'Waiting for review' })
    await sheet.locator('[data-held]', { hasText: 'Bob' }).getByRole('button', { name: 'Show', exact: true }).click()
    await sheet.getByText('And more bananas').waitFor()
    await shot(ann, 'held-sheet')
    await sheet.getByRole('button', { name: 'Reject…' }).click()
    await ann.getByRole('dialog', { name: 'Reject this message?' }).getByRole('textbox').fill('One advertisement a day')
    await ann.getByRole('button', { name: 'Reject', exact: true }).click()
    await sheet.getByText('Nothing waits.').waitFor()
    await message(bob, 'Not let through: One advertisement a day').waitFor()
    await shot(bob, 'rejected')
    await sheet.getByRole('button', { name: 'Close' }).click()

    // An administrator, who is no member.
    await say(bob, 'The last bananas')
    await message(bob, 'Held back until it is reviewed').waitFor()
    const root = await open({ colorScheme: 'dark', deviceScaleFactor: shots ? 1.5 : 1 })
    await signIn(root, server.url, 'root')
    await until('the menu to have it', async () => {
      await root.getByRole('button', { name: 'Profile and status' }).click()
      if (await root.getByRole('menuitem', { name: 'Held messages' }).isVisible().catch(() => false)) return true
      await root.keyboard.press('Escape')
      return false
    }, 60_000)
    await root.getByRole('menuitem', { name: 'Held messages' }).click()
    const box = root.getByRole('dialog', { name: 'Held messages' })
    await box.getByRole('textbox').fill('bob')
    await box.getByRole('button', { name: 'Show', exact: true }).click()
    await box.locator('[data-place]', { hasText: 'Market' }).click()
    await box.locator('[data-action=show]').click()
    await box.getByText('The last bananas').waitFor()
    await shot(root, 'held-admin')
    await box.locator('[data-action=allow]').click()
    await box.getByText('Nothing is held back here.').waitFor()
    await ann.locator('.tp-msg .tp-text', { hasText: 'The last bananas' }).waitFor()
    const { items } = await rest(server.url, 'GET', '/audit?limit=50', undefined, admin.token)
    expect(items.map((r: { action: string }) => r.action)).toEqual(expect.arrayContaining(['original-read', 'message-let-through', 'message-rejected']))
    expect(await composer(ann).isEnabled()).toBe(true)
  })
})
