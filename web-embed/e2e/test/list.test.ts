import { describe, expect, test } from 'vitest'
import { noBrowser, open } from './browser.js'
import { register, rest, Server, until } from './host.js'
import { composer, openFirst, signIn, signUp } from './people.js'

describe.skipIf(noBrowser)('the list at /', () => {
  test('keeps drafts, pins and mutes, and says who is there, who mentioned one and what is unread', async () => {
    const server = await Server.start()
    const bob = await register(server.url, 'bob', 'Bob'), carl = await register(server.url, 'carl', 'Carl')
    const ann = await open()
    await signUp(ann, server.url, 'ann', 'Ann')
    const id = await ann.evaluate<string>('JSON.parse(localStorage["troupe.login"]).userId')
    let n = 0
    const says = (who: typeof bob, session: string, text: string, more: object = {}) => rest(server.url, 'POST', `/sessions/${session}/messages`, { clientMsgId: 'c' + ++n, content: { type: 'text', text }, ...more }, who.token)
    const { session: withBob } = await rest(server.url, 'POST', '/sessions', { sessionType: 'p2p', members: [id] }, bob.token)
    const { session: withCarl } = await rest(server.url, 'POST', '/sessions', { sessionType: 'p2p', members: [id] }, carl.token)
    const row = (session: string) => ann.locator(`[data-conversation="${session}"]`)
    const order = () => ann.locator('[data-conversation]').evaluateAll(rows => rows.map(r => (r as unknown as { dataset: { conversation: string } }).dataset.conversation))
    await says(bob, withBob, 'One')
    await says(carl, withCarl, 'Two')
    await says(carl, withCarl, 'Three')
    await row(withCarl).getByText('Three').waitFor()
    expect(await row(withCarl).locator('.tp-badge').innerText()).toMatch(/^2/)
    await until('the title to count', async () => (await ann.title()) === '(3) Troupe')
    expect(await order()).toEqual([withCarl, withBob])

    const act = async (session: string, item: string): Promise<void> => {
      await row(session).click({ button: 'right' })
      await ann.getByRole('menuitem', { name: item, exact: true }).click()
    }
    await act(withBob, 'Pin')
    await until('the pinned one to be first', async () => (await order())[0] === withBob)
    await act(withCarl, 'Mute')
    await until('muted ones not to be counted', async () => (await ann.title()) === '(1) Troupe')

    // A draft is seen in the list when one is elsewhere.
    await row(withBob).click()
    await until('nothing to be unread', async () => (await ann.title()) === 'Troupe')
    await composer(ann).fill('half a sen')
    await row(withCarl).click()
    await row(withBob).getByText('Draft').waitFor()
    await row(withBob).getByText('half a sen').waitFor()
    await row(withBob).click()
    expect(await composer(ann).inputValue()).toBe('half a sen')
    await composer(ann).fill('')

    // Bob comes, is seen to be busy, and mentions her.
    const bobs = await open()
    await signIn(bobs, server.url, 'bob')
    await row(withBob).getByRole('img', { name: 'Online' }).waitFor()
    await bobs.getByRole('button', { name: 'Profile and status' }).click()
    await bobs.locator('[role^=menuitem]', { hasText: 'Busy' }).click()
    await row(withBob).getByRole('img', { name: 'Busy' }).waitFor()
    const made = await rest(server.url, 'POST', '/sessions', { sessionType: 'group', name: 'Hikers', members: [id] }, bob.token)
    const group: string = made.session ?? made.result[0]
    await says(bob, group, '@Ann Sunday?', { mentions: [id] })
    await row(group).locator('.is-mention', { hasText: '@Ann Sunday?' }).waitFor()
    await openFirst(ann, 'Hikers')
    await ann.locator('.tp-mention.is-me').waitFor()
  })
})
