import { createHmac, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server as Http, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { Server } from '../../client/test/server.js'

export { Server, until } from '../../client/test/server.js'

/** A web server of somebody else's, at an origin of its own, until the test ends. */
export class Host {
  origin = ''
  readonly asked: string[] = []
  #http!: Http
  /** What is at each path; a function answers itself. */
  readonly pages: Record<string, string | ((q: IncomingMessage, a: ServerResponse) => void)> = {}
  headers: Record<string, string> = {}

  static async start(name: 'localhost' | '127.0.0.1' = 'localhost'): Promise<Host> {
    const h = new Host()
    h.#http = createServer((q, a) => {
      h.asked.push(q.method + ' ' + q.url)
      const page = h.pages[new URL(q.url!, 'http://x').pathname]
      if (typeof page === 'function') return page(q, a)
      a.writeHead(page === undefined ? 404 : 200, { 'Content-Type': 'text/html; charset=utf-8', ...h.headers })
      a.end(page ?? '')
    })
    await new Promise<void>(done => h.#http.listen(0, name, done))
    h.origin = `http://${name}:${(h.#http.address() as AddressInfo).port}`
    onTestFinished(async () => { h.#http.closeAllConnections(); h.#http.close() })
    return h
  }
}

export interface App { id: string; secret: string }

/** What an administrator does: the first one registers with the printed code. */
export class Admin {
  private constructor(readonly server: Server, readonly token: string, readonly id: string) {}

  static async of(server: Server): Promise<Admin> {
    const { token, userId } = await rest(server.url, 'POST', '/users', { name: 'root', password: 'a long password', code: await server.setupCode() })
    return new Admin(server, token, userId)
  }

  async app(origins: string[], more: object = {}): Promise<App> {
    const a = await rest(this.server.url, 'POST', '/apps', { name: 'Shop', origins, ...more }, this.token)
    return { id: a.app, secret: a.secret }
  }
}

export async function rest(url: string, method: string, path: string, body?: object, token?: string): Promise<any> {
  const res = await fetch(url + '/api/v2' + path, {
    method, headers: { 'Content-Type': 'application/json', ...(token && { Authorization: 'Bearer ' + token }) }, ...(body && { body: JSON.stringify(body) }),
  })
  const text = await res.text()
  if (!res.ok) throw new Error(`${method} ${path}: ${res.status} ${text}`)
  return text ? JSON.parse(text) : undefined
}

export interface Person { id: string; name: string; token: string }

/** Somebody of the installation's own. */
export async function register(url: string, name: string, nickname = name): Promise<Person> {
  const { token, userId } = await rest(url, 'POST', '/users', { name, nickname, password: 'a long password' })
  return { id: userId, name, token }
}

/** What a host's back end signs for somebody who is signed in there (docs/identity.md). */
export function signed(app: App, user: string, name = user): string {
  const part = (o: object): string => Buffer.from(JSON.stringify(o)).toString('base64url')
  const iat = Math.floor(Date.now() / 1000)
  const text = part({ alg: 'HS256', typ: 'JWT' }) + '.' + part({ sub: user, aud: app.id, iat, exp: iat + 60, jti: randomUUID(), name })
  return text + '.' + createHmac('sha256', app.secret).update(text).digest('base64url')
}
