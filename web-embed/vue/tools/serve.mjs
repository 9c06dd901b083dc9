// Serves a folder of built files; what is not there is asked of `behind`, a server's address, if one is given.
import { createReadStream, existsSync, statSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { connect } from 'node:net'
import { extname, join, normalize } from 'node:path'

const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' }
export async function serve(dir, behind) {
  const to = behind && new URL(behind)
  const server = createServer((q, s) => {
    const path = normalize(decodeURIComponent(new URL(q.url, 'http://x').pathname)).replace(/\/$/, '/index.html')
    const file = join(dir, path)
    if (to && /^\/(api|ws)\b/.test(path)) {
      q.pipe(request({ host: to.hostname, port: to.port, path: q.url, method: q.method, headers: { ...q.headers, host: to.host } }, r => { s.writeHead(r.statusCode, r.headers); r.pipe(s) }).on('error', () => s.destroy()))
      return
    }
    if (!file.startsWith(dir) || !existsSync(file) || !statSync(file).isFile()) { s.writeHead(404).end(); return }
    s.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream', 'x-content-type-options': 'nosniff' })
    createReadStream(file).pipe(s)
  })
  const open = new Set()
  server.on('upgrade', (q, socket, head) => {
    if (!to) return socket.destroy()
    const far = connect(Number(to.port), to.hostname, () => {
      const headers = { ...q.headers, host: to.host }
      delete headers.origin
      far.write(`GET ${q.url} HTTP/1.1\r\n${Object.entries(headers).map(([k, v]) => `${k}: ${v}`).join('\r\n')}\r\n\r\n`)
      far.write(head)
      socket.pipe(far).pipe(socket)
    })
    for (const [a, b] of [[socket, far], [far, socket]]) { open.add(a); a.on('error', () => b.destroy()).on('close', () => { open.delete(a); b.destroy() }) }
  })
  await new Promise(done => server.listen(0, '127.0.0.1', done))
  return { url: `http://127.0.0.1:${server.address().port}/`, cut: () => open.forEach(x => x.destroy()), close: () => { open.forEach(x => x.destroy()); server.close() } }
}
