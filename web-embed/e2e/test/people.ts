import type { Page } from 'playwright-core'
import { until, type Server } from './host.js'

/** Where pictures of what the tests see are put, when somebody wants to look. */
export const shots = process.env['TROUPE_SHOTS']
export const shot = async (p: Page, name: string): Promise<void> => { if (shots) { await p.waitForTimeout(400); await p.screenshot({ path: `${shots}/${name}.png` }) } }

export async function signUp(p: Page, url: string, name: string, nickname: string): Promise<void> {
  await p.goto(url)
  await p.locator('#tab-up').click()
  await p.locator('[name=username]').fill(name)
  await p.locator('[name=nickname]').fill(nickname)
  await p.locator('[name=password]').fill('a long password')
  await p.locator('[name=password]').press('Enter')
  await p.locator('[data-connection=online]').waitFor()
}
export const composer = (p: Page) => p.locator('.tp-composer textarea')
export async function say(p: Page, text: string): Promise<void> {
  await composer(p).fill(text)
  await composer(p).press('Enter')
}
/** Whether a bot is there: those that come along start behind the server. */
export const ready = (server: Server, token: string, id: string) => until(`${id} to be ready`, async () => {
  const res = await fetch(server.url + '/api/v2/admin/bots/' + id, { headers: { Authorization: 'Bearer ' + token } })
  return res.ok && (await res.json()).up
}, 60_000)
export async function begin(p: Page, item: string): Promise<void> {
  await p.getByRole('button', { name: 'Begin something new' }).click()
  await p.getByRole('menuitem', { name: item }).click()
}
export async function talkTo(p: Page, bot: string): Promise<void> {
  await begin(p, 'New chat')
  await p.getByRole('dialog').getByRole('heading', { name: 'Assistants' }).waitFor()
  await p.getByRole('dialog').locator('.tp-person', { hasText: bot }).locator('.tp-person-main').click()
  await composer(p).waitFor()
}
/** A group of ann, bob and bots, made by ann. */
export async function group(ann: Page, title: string, ...members: [search: string, name: string][]): Promise<void> {
  await begin(ann, 'New group')
  const box = ann.getByRole('dialog')
  await box.locator('input[maxlength="128"]').fill(title)
  for (const [search, name] of members) {
    await box.getByRole('searchbox').fill(search)
    await box.locator('.tp-person', { hasText: name }).first().locator('.tp-person-main').click()
  }
  await box.getByRole('button', { name: /Create with/ }).click()
  await composer(ann).waitFor()
}
export const openFirst = (p: Page, title: string) => p.locator('[data-conversation]', { hasText: title }).first().click()

export async function signIn(p: Page, url: string, name: string): Promise<void> {
  await p.goto(url)
  await p.locator('[name=username]').waitFor() // before it is looked whether there is a choice
  if (await p.locator('#tab-in').count()) await p.locator('#tab-in').click()
  await p.locator('[name=username]').fill(name)
  await p.locator('[name=password]').fill('a long password')
  await p.locator('[name=password]').press('Enter')
  await p.locator('[data-connection=online]').waitFor()
}
