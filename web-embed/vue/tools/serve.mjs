// Serves a folder of built files as strictly as the real server does: `serve(dir)` answers its address.
import { createReadStream, existsSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'

const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' }
export async function serve(dir) {
  const server = createServer((q, s) => {
    const path = normalize(decodeURIComponent(new URL(q.url, 'http://x').pathname)).replace(/\/$/, '/index.html')
    const file = join(dir, path)
    if (!file.startsWith(dir) || !existsSync(file) || !statSync(file).isFile()) { s.writeHead(404).end(); return }
    s.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream', 'x-content-type-options': 'nosniff' })
    createReadStream(file).pipe(s)
  })
  await new Promise(done => server.listen(0, '127.0.0.1', done))
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() }
}
