import type { Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { noBrowser, open } from './browser.js'
import { Admin, Server, until } from './host.js'
import { Model } from './model.js'
import { composer, group, openFirst, ready, say, shot, shots, signIn, signUp, talkTo } from './people.js'

const draft = (p: Page) => p.locator('.tp-text.is-streaming').last()

describe.skipIf(noBrowser)('bots on the page', () => {
  test('write while one looks, are stopped, answer again, and who comes late has it all', async () => {
    const model = await Model.start()
    const server = await Server.start({ TROUPE_MODEL_URL: model.url, TROUPE_MODEL: 'scripted' })
    const admin = await Admin.of(server)
    await ready(server, admin.token, 'assistant')
    const ann = await open()
    await signUp(ann, server.url, 'ann', 'Ann')
    await talkTo(ann, 'Assistant')
    await say(ann, 'Why is the sky blue?')
    const first = await model.nth(1)
    expect(first.question).toContain('Why is the sky blue?')
    first.say('Sunlight ', 'is ', 'scattered ')
    await draft(ann).getByText('Sunlight is scattered').waitFor()
    expect(await ann.getByRole('button', { name: 'Stop' }).isVisible()).toBe(true)

    // Another window of hers, which was not there when it began.
    const late = await ann.context().newPage()
    await late.goto(ann.url())
    await draft(late).getByText('Sunlight is scattered').waitFor()
    first.say('by ', 'the ', 'air.')
    for (const w of [ann, late]) await draft(w).getByText('Sunlight is scattered by the air.').waitFor()
    first.end()
    for (const w of [ann, late]) {
      await w.locator('.tp-botbar').waitFor()
      expect(await w.getByText('Sunlight is scattered by the air.').locator('visible=true').count()).toBeGreaterThan(0)
      expect(await w.locator('.tp-text.is-streaming').count()).toBe(0)
    }
    await late.close()

    await ann.locator('.tp-botbar').getByRole('button', { name: 'Answer again' }).click()
    const second = await model.nth(2)
    second.say('Short ', 'waves ', 'scatter ', 'most.')
    second.end()
    await ann.locator('.tp-variants', { hasText: '2/2' }).waitFor()
    expect(await ann.locator('.tp-msg', { hasText: 'Sunlight is scattered' }).count()).toBe(0)
    await ann.getByRole('button', { name: 'Previous answer' }).click()
    await ann.locator('.tp-variants', { hasText: '1/2' }).waitFor()
    await ann.locator('.tp-msg', { hasText: 'Sunlight is scattered by the air.' }).waitFor()

    await say(ann, 'Tell me a very long story')
    const third = await model.nth(3)
    third.say('Once ', 'upon ', 'a ', 'time')
    await draft(ann).getByText('Once upon a time').waitFor()
    await ann.getByRole('button', { name: 'Stop' }).click()
    await ann.locator('.tp-botbar-note', { hasText: 'Stopped' }).waitFor()
    await until('the model to be left alone', () => third.gone)
    await ann.reload()
    await ann.locator('.tp-botbar-note', { hasText: 'Stopped' }).waitFor()
    expect(await ann.locator('.tp-variants', { hasText: '2/2' }).count()).toBe(1)
  })

  test('are asked by commands, and their cards are for everybody', async () => {
    const server = await Server.start()
    const admin = await Admin.of(server)
    await ready(server, admin.token, 'poll')
    const [ann, bob] = [await open(), await open()]
    await signUp(ann, server.url, 'ann', 'Ann')
    await signUp(bob, server.url, 'bob', 'Bob')
    await group(ann, 'Lunch', ['bob', 'Bob'])
    // A bot comes in by the members' sheet.
    await ann.locator('.tp-header-who').click()
    await ann.getByRole('button', { name: 'Add people' }).click()
    await ann.getByRole('dialog').locator('.tp-person', { hasText: 'Poll' }).first().locator('.tp-person-main').click()
    await ann.getByRole('dialog').getByRole('button', { name: 'Add 1' }).click()
    await ann.locator('.tp-line', { hasText: 'added Poll' }).waitFor()
    await ann.getByRole('button', { name: 'Close' }).first().click()

    await composer(ann).pressSequentially('/po')
    const picker = ann.getByRole('listbox', { name: 'Commands' })
    await picker.getByRole('option', { name: /\/poll/ }).waitFor()
    expect(await composer(ann).getAttribute('aria-activedescendant')).toBe(await picker.getByRole('option').first().getAttribute('id'))
    await shot(ann, 'commands')
    await composer(ann).press('Enter')
    expect(await composer(ann).inputValue()).toBe('/poll ')
    await ann.locator('.tp-command-line .is-now', { hasText: 'question' }).waitFor()
    await composer(ann).pressSequentially('"Lunch?" noodles rice')
    await composer(ann).press('Enter')

    await openFirst(bob, 'Lunch')
    for (const w of [ann, bob]) await w.locator('.tp-card', { hasText: 'Lunch?' }).waitFor()
    const button = (p: Page, name: string) => p.locator('.tp-card', { hasText: 'Lunch?' }).getByRole('button', { name: new RegExp(name) })
    await button(ann, 'noodles').click()
    for (const w of [ann, bob]) await w.locator('.tp-card', { hasText: /1 vote\b/ }).waitFor()
    await button(bob, 'rice').click()
    for (const w of [ann, bob]) await w.locator('.tp-card', { hasText: /2 votes/ }).waitFor()
    await shot(bob, 'poll')
    await until('what is not shown by itself to be read too', async () => (await bob.title()) === 'Troupe', 60_000)

    // What is wrong is said to whoever did it, and to nobody else.
    await say(ann, '/poll "Dinner?" soup')
    const whisper = ann.locator('.tp-msg.is-whisper')
    await whisper.getByText('two answers').waitFor()
    await whisper.getByText('Only you see this').waitFor()
    await shot(ann, 'whisper')
    expect(await bob.locator('.tp-msg.is-whisper').count()).toBe(0)
    await whisper.getByRole('button', { name: 'Close' }).click()
    await until('it to be gone', async () => (await whisper.count()) === 0)

    await button(ann, 'Close').click()
    for (const w of [ann, bob]) {
      await w.locator('.tp-card', { hasText: 'Closed.' }).waitFor()
      expect(await w.locator('.tp-card button:enabled').count()).toBe(0)
    }
  })

  test('answer in a group when they are mentioned, for all who look', async () => {
    const model = await Model.start()
    const server = await Server.start({ TROUPE_MODEL_URL: model.url, TROUPE_MODEL: 'scripted' })
    const admin = await Admin.of(server)
    await ready(server, admin.token, 'assistant')
    const [ann, bob] = [await open({ deviceScaleFactor: shots ? 1.5 : 1 }), await open({ colorScheme: 'dark', viewport: { width: 390, height: 844 }, deviceScaleFactor: shots ? 2 : 1 })]
    await signUp(ann, server.url, 'ann', 'Ann')
    await signUp(bob, server.url, 'bob', 'Bob')
    await group(ann, 'Release 2.0', ['bob', 'Bob'], ['', 'Assistant'])
    await say(ann, 'The notes for 2.0 are due today')
    await openFirst(bob, 'Release 2.0')
    await say(bob, 'I have the list of changes, but no time to make it readable 😅')
    await ann.locator('.tp-msg', { hasText: 'no time to make it readable' }).waitFor()
    await composer(ann).pressSequentially('@Assi')
    await ann.getByRole('option', { name: 'Assistant' }).waitFor()
    await composer(ann).press('Enter')
    await composer(ann).pressSequentially('how should release notes be built up?')
    await composer(ann).press('Enter')
    const answer = await model.nth(1)
    expect(answer.question).toContain('how should release notes be built up?')
    const told = '**What breaks comes first**: whoever upgrades has to see it without scrolling.\n\n1. Breaking changes, each with what to do\n2. New things, one line for each, the most wanted first\n3. Fixes, by the words people searched for\n\n```sh\ntroupe serve --check-config\n```\n\nA table helps where settings were ren'
    answer.say(...told.match(/\S*\s*/g)!.filter(Boolean))
    for (const w of [ann, bob]) await draft(w).getByText('A table helps where').waitFor()
    await shot(ann, 'assistant-light-desktop')
    await shot(bob, 'assistant-dark-phone')
    await ann.emulateMedia({ colorScheme: 'dark' })
    await bob.emulateMedia({ colorScheme: 'light' })
    await shot(ann, 'assistant-dark-desktop')
    await shot(bob, 'assistant-light-phone')
    answer.say('amed.')
    answer.end()
    for (const w of [ann, bob]) {
      await w.locator('.tp-botbar').waitFor()
      expect(await w.locator('.tp-text.is-streaming').count()).toBe(0)
      await until('nothing to be unread', async () => (await w.title()) === 'Troupe', 60_000)
      await w.locator('.tp-msg-name', { hasText: 'Assistant' }).locator('.tp-tag', { hasText: /^AI$/ }).first().waitFor()
    }
    // It is said wherever one meets it.
    await ann.locator('.tp-header-who').click()
    const member = ann.locator('.tp-panel .tp-person', { hasText: 'Assistant' })
    await member.locator('.tp-tag', { hasText: /^AI$/ }).waitFor()
    expect(await ann.locator('.tp-panel .tp-person', { hasText: 'Bob' }).locator('.tp-tag').count()).toBe(0)
    await member.locator('.tp-person-main').click()
    await ann.getByRole('dialog', { name: 'Profile' }).locator('h3 .tp-tag', { hasText: /^AI$/ }).waitFor()
    await shot(ann, 'assistant-profile')
  })

  test('are looked after by administrators', async () => {
    const server = await Server.start()
    const admin = await Admin.of(server)
    await ready(server, admin.token, 'echo')
    const root = await open()
    await signIn(root, server.url, 'root')
    const menu = async (): Promise<boolean> => {
      await root.getByRole('button', { name: 'Profile and status' }).click()
      if (await root.getByRole('menuitem', { name: 'Bots' }).isVisible().catch(() => false)) return true
      await root.keyboard.press('Escape')
      return false
    }
    await until('the menu to have it', menu, 60_000)
    await root.getByRole('menuitem', { name: 'Bots' }).click()
    const echo = root.locator('[data-bot=echo]')
    await echo.click()
    await root.locator('.page-one-head', { hasText: 'Echo' }).waitFor()
    await shot(root, 'admin')
    const state = (want: string) => until('echo to be ' + want, async () => (await echo.getAttribute('data-state')) === want, 60_000)
    await state('ready')
    await root.locator('[data-action=disable]').click()
    await root.locator('[data-action=disable-sure]').click()
    await state('disabled')
    await root.locator('[data-action=enable]').click()
    await state('ready')
    await root.locator('[data-action=restart]').click()
    await until('it to have been started again', async () => /[2-9] ·/.test(await root.locator('.page-facts', { hasText: 'Starts' }).innerText()), 60_000)

    const ann = await open()
    await signUp(ann, server.url, 'ann', 'Ann')
    await ann.getByRole('button', { name: 'Profile and status' }).click()
    await ann.getByRole('menuitem', { name: 'Settings' }).waitFor()
    expect(await ann.getByRole('menuitem', { name: 'Bots' }).count()).toBe(0)
  })
})
