// A back end in one file: it serves the page and signs who is there.
//   TROUPE_APP=app_… TROUPE_APP_SECRET=… node server.mjs      then open http://localhost:5173
// The application's origins have http://localhost:5173.
import { createHmac, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const { TROUPE_APP: app, TROUPE_APP_SECRET: secret } = process.env
if (!app || !secret) throw new Error('say TROUPE_APP and TROUPE_APP_SECRET')

function chatToken(userId, name) {
  const part = o => Buffer.from(JSON.stringify(o)).toString('base64url')
  const iat = Math.floor(Date.now() / 1000)
  const text = part({ alg: 'HS256', typ: 'JWT' }) + '.' + part({ sub: userId, name, aud: app, iat, exp: iat + 60, jti: randomUUID() })
  return text + '.' + createHmac('sha256', secret).update(text).digest('base64url')
}

createServer((q, a) => {
  if (q.method === 'POST' && q.url === '/im/token') return a.end(chatToken('customer-7', 'Ms. Li'))
  a.setHeader('Content-Type', 'text/html; charset=utf-8')
  a.end(readFileSync(new URL('index.html', import.meta.url), 'utf8').replaceAll('YOUR_APP', app))
}).listen(5173, () => console.log('http://localhost:5173'))
