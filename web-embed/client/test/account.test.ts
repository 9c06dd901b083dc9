import { createHmac, randomUUID } from 'node:crypto'
import { WebSocket } from 'ws'
import { expect, test } from 'vitest'
import { createAccount, type Account, type AccountOptions, type KeyValue } from '../src/account.js'
import { createClient } from '../src/index.js'
import { Server, until } from './server.js'

class Kept implements KeyValue {
  rows = new Map<string, string>()
  getItem(k: string): string | null { return this.rows.get(k) ?? null }
  setItem(k: string, v: string): void { this.rows.set(k, v) }
  removeItem(k: string): void { this.rows.delete(k) }
}
const account = (s: Server, o: AccountOptions = {}): Account => createAccount({ endpoint: s.url, keep: 'memory', ...o })

test('somebody registers, comes back, and signs out', async () => {
  const server = await Server.start(), keep = new Kept()
  const first = account(server, { keep })
  await expect(first.getToken()).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
  await expect(first.register({ name: 'ann', password: 'short' })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  const login = await first.register({ name: 'ann', password: 'a fairly long one', nickname: 'Ann Lee' })
  expect(first.login.value).toEqual(login)
  await expect(account(server).signIn('ann', 'not the password')).rejects.toMatchObject({ code: 'UNAUTHORIZED' })

  const again = account(server, { keep })
  expect(again.login.value).toMatchObject({ userId: login.userId, name: 'ann', device: login.device })
  const c = createClient({ endpoint: server.url, userId: login.userId, getToken: again.getToken, WebSocket: WebSocket as never, storage: 'memory' })
  c.connect()
  await c.ready()
  await until('the name', () => c.me?.nickname === 'Ann Lee')
  expect(await c.users.update({ nickname: 'Ann' })).toMatchObject({ nickname: 'Ann', account: 'ann' })

  const other = account(server)
  await other.signIn('ann', 'a fairly long one')
  expect((await other.devices()).items.filter(d => d.current)).toHaveLength(1)
  expect((await other.devices()).items).toHaveLength(2)
  await other.signOutDevice()
  await until('the first one to be out', () => c.state === 'closed')
  expect(c.connection.value.error?.code).toBe('UNAUTHORIZED')
  expect(again.login.value).toBe(null)
  await other.signOut()
  expect(other.login.value).toBe(null)
  await c.destroy()
})

test('a token that ends is renewed once for all who ask', async () => {
  const server = await Server.start({ TROUPE_ACCESS_LIFE: '16s' })
  let asked = 0
  const a = account(server, { fetch: (url, o) => { if (String(url).endsWith('/refresh')) asked++; return fetch(url, o) } })
  await a.register({ name: 'ann', password: 'a fairly long one' })
  const old = await a.getToken()
  const tokens = await Promise.all([1, 2, 3].map(() => a.getToken({ reason: 'expiring' })))
  expect(new Set(tokens).size).toBe(1)
  expect(tokens[0]).not.toBe(old)
  expect(asked).toBe(1)
})

test('a visitor of an application talks with those who answer, and then signs in', async () => {
  const server = await Server.start()
  const admin = account(server)
  await admin.register({ name: 'root', password: 'a fairly long one', code: await server.setupCode() })
  const made = await (await fetch(server.url + '/api/v2/apps', {
    method: 'POST', headers: { Authorization: 'Bearer ' + (await admin.getToken()), 'Content-Type': 'application/json' },
    body: JSON.stringify({ name: 'Shop', guests: true, members: [admin.login.value!.userId], texts: { guest: 'Visitor' } }),
  })).json() as { app: string }
  const guest = account(server)
  expect(await guest.application(made.app)).toMatchObject({ id: made.app, name: 'Shop', guests: true, texts: { guest: 'Visitor' } })
  expect(await guest.guest(made.app)).toMatchObject({ kind: 'guest' })
  const c = createClient({ endpoint: server.url, app: made.app, userId: guest.login.value!.userId, getToken: guest.getToken, WebSocket: WebSocket as never, storage: 'memory' })
  c.connect()
  await c.ready()
  const talk = await c.conversations.open({ members: [admin.login.value!.userId], muc: true })
  expect((await talk.send('Is anybody there?').sent).seq).toBeGreaterThan(0)
  await c.destroy()

  const ann = account(server)
  await ann.register({ name: 'ann', password: 'a fairly long one' })
  await ann.merge({ token: await guest.getToken() })
  const mine = createClient({ endpoint: server.url, userId: ann.login.value!.userId, getToken: ann.getToken, WebSocket: WebSocket as never, storage: 'memory' })
  mine.connect()
  await mine.ready()
  await until('what the visitor wrote', () => mine.conversations.list().value.some(v => v.id === talk.id))
  await mine.destroy()
})

test('a token that a page’s back end signed is traded, renews itself, and ends with a wipe', async () => {
  const server = await Server.start({ TROUPE_ACCESS_LIFE: '3s' })
  const admin = account(server)
  await admin.register({ name: 'root', password: 'a fairly long one', code: await server.setupCode() })
  const { app, secret } = await (await fetch(server.url + '/api/v2/apps', {
    method: 'POST', headers: { Authorization: 'Bearer ' + (await admin.getToken()), 'Content-Type': 'application/json' }, body: JSON.stringify({ name: 'Shop', members: [admin.login.value!.userId] }),
  })).json() as { app: string; secret: string }
  const part = (o: object): string => Buffer.from(JSON.stringify(o)).toString('base64url')
  let signed = 0
  const getToken = async (): Promise<string> => {
    signed++
    const iat = Math.floor(Date.now() / 1000), text = part({ alg: 'HS256', typ: 'JWT' }) + '.' + part({ sub: 'customer-7', name: 'Ms. Li', aud: app, iat, exp: iat + 60, jti: randomUUID() })
    return text + '.' + createHmac('sha256', secret).update(text).digest('base64url')
  }
  let renewed = 0
  const asked: string[] = []
  const c = createClient({
    endpoint: server.url, app, getToken, WebSocket: WebSocket as never, storage: 'memory',
    fetch: (url, o) => { asked.push(String(url)); if (String(url).endsWith('/refresh')) renewed++; return fetch(url, o) },
  })
  c.connect()
  await c.ready()
  await until('the name', () => c.me?.nickname === 'Ms. Li')
  await until('the login to be renewed', () => renewed > 1, 30_000)
  expect(c.state).toBe('online')
  expect(signed).toBe(1)
  await c.destroy({ wipe: true })
  expect(asked.at(-1)).toMatch(/logout$/)
})
