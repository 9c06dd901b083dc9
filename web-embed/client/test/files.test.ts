import 'fake-indexeddb/auto'
import { crc32, deflateSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { Proxy } from './proxy.js'
import { Server, until } from './server.js'
import { Net, clientOf, messages, online, pair, text } from './world.js'

/** A picture of w times h pixels, grey. */
function png(w: number, h: number): Blob {
  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type), data]), out = Buffer.alloc(body.length + 8)
    out.writeUInt32BE(data.length)
    body.copy(out, 4)
    out.writeUInt32BE(crc32(body), body.length + 4)
    return out
  }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(w)
  head.writeUInt32BE(h, 4)
  head.set([8, 0, 0, 0, 0], 8)
  const rows = Buffer.alloc((w + 1) * h, 128)
  for (let y = 0; y < h; y++) rows[y * (w + 1)] = 0
  return new Blob([Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))])], { type: 'image/png' })
}

test('pictures are uploaded, then sent, and shown by links that need no token', async () => {
  const server = await Server.start()
  const ann = await online(server, 'ann'), bob = await online(server, 'bob')
  const [a, b] = await pair(ann, bob)
  const at = a.timeline(), bt = b.timeline()
  const one = a.send({ files: [{ blob: png(400, 300), name: 'one.png', width: 400, height: 300 }], text: 'Look' })
  expect(one.message.value).toMatchObject({ kind: 'image', status: 'queued' })
  expect(one.message.value.parts[0]).toMatchObject({ t: 'image', file: { name: 'one.png', mime: 'image/png', width: 400 } })
  const key = one.message.value.key
  const sent = await one.sent
  await until('it', () => messages(bt).length === 1)
  const part = messages(bt)[0]!.parts[0]!
  expect(part).toMatchObject({ t: 'image', file: { name: 'one.png', mime: 'image/png', width: 400, height: 300 } })
  expect(messages(bt)[0]!.parts[1]).toEqual({ t: 'text', text: 'Look' })
  expect(messages(at)[0]!.key).toBe(key)
  expect(sent.parts).toHaveLength(2)
  if (part.t !== 'image') throw new Error()
  const url = await bob.files.url(part.file.id!, { size: 'small' })
  const got = await fetch(url)
  expect(got.status).toBe(200)
  expect(got.headers.get('content-type')).toMatch(/^image\//)
  expect(await bob.files.url(part.file.id!, { size: 'small' })).toBe(url)

  const two = await a.send({ files: [{ blob: png(20, 20), name: 'a.png' }, { blob: png(30, 20), name: 'b.png' }] }).sent
  await until('both', () => messages(bt)[1]?.parts.length === 2)
  expect(messages(bt)[1]!.parts.map(p => (p.t === 'image' ? [p.file.name, p.file.width] : p))).toEqual([['a.png', 20], ['b.png', 30]])
  await a.edit(sent.id, 'Look here')
  await until('the caption', () => text(messages(bt)[0]!) === 'Look here')
  await a.revoke(two.id)
  await until('it to be gone', () => messages(bt)[1]!.revoked)
  expect((await fetch(url)).status).toBe(200)

  await expect(a.send({ files: [{ blob: new Blob(['not a picture'], { type: 'image/png' }), name: 'x.png' }] }).sent).resolves.toBeTruthy()
})

test('a large file goes in parts, survives a break and a restart, and is sent once', async () => {
  const server = await Server.start(), proxy = await Proxy.to(() => server.port), net = new Net()
  const bob = await online(server, 'bob')
  const first = await online(server, 'ann', { endpoint: proxy.url, storage: 'indexeddb', app: 'files', net })
  const [a, b] = await pair(first, bob)
  const bt = b.timeline()
  const data = new Uint8Array(13 << 20).map((_, i) => i * 31 + (i >> 9))
  const out = a.send({ files: [{ blob: new Blob([data], { type: 'application/octet-stream' }), name: 'large.bin' }] })
  await until('a part', () => out.progress.value > 0.35 && out.progress.value < 1)
  proxy.closed = true
  proxy.cut()
  net.say('offline')
  await first.destroy()
  proxy.closed = false
  let sent = 0
  const counting: typeof fetch = (...x) => fetch(...x)
  const second = clientOf(server, 'ann', { endpoint: proxy.url, storage: 'indexeddb', app: 'files', fetch: counting })
  await until('what is stored', () => second.outbox.value.length === 1)
  second.connect()
  const waiting = second.outbox.value[0]!
  expect(waiting.parts[0]).toMatchObject({ t: 'file', file: { name: 'large.bin', size: data.length } })
  second.on('message:change', m => { if (m.progress && !sent) sent = m.progress })
  await until('it to arrive', () => messages(bt).length === 1)
  expect(sent).toBeGreaterThan(0.3) // it went on where it was
  const part = messages(bt)[0]!.parts[0]!
  if (part.t !== 'file') throw new Error()
  const got = new Uint8Array(await (await fetch(await bob.files.url(part.file.id!, { download: true }))).arrayBuffer())
  expect(got.length).toBe(data.length)
  expect(Buffer.compare(got, data)).toBe(0)
})

test('an upload can be cancelled, and one that is refused says why', async () => {
  const server = await Server.start({ TROUPE_MAX_DOCUMENT: '1MiB' })
  const ann = await online(server, 'ann'), bob = await online(server, 'bob')
  const [a] = await pair(ann, bob)
  const big = a.send({ files: [{ blob: new Blob([new Uint8Array(2 << 20)]), name: 'big.bin' }] })
  await expect(big.sent).rejects.toMatchObject({ code: 'TOO_LARGE' })
  expect(big.message.value.status).toBe('failed')
  expect(big.cancel()).toBe(true)
  expect(ann.outbox.value).toEqual([])
  const stop = new AbortController()
  const up = ann.files.upload(new Blob(['text']), { name: 'a.txt', signal: stop.signal })
  stop.abort()
  await expect(up).rejects.toMatchObject({ code: 'CANCELLED' })
  expect(await ann.files.upload(new Blob(['text'], { type: 'text/plain' }), { name: 'a.txt' })).toMatchObject({ name: 'a.txt', kind: 'document', size: 4 })
})

test('a large upload that is cancelled takes no room on the server', async () => {
  const server = await Server.start({ TROUPE_QUOTA: '8MiB' }) // for one of them
  const begun: string[] = []
  let standing = 0
  /** Parts stand still until they are given up. */
  const slow: typeof fetch = async (url, o) => {
    if (o?.method === 'PATCH') {
      standing++
      return new Promise((_, no) => o.signal!.addEventListener('abort', () => no(o.signal!.reason)))
    }
    const a = await fetch(url, o)
    if (String(url).endsWith('/files/tus/')) begun.push(new URL(a.headers.get('Location')!, String(url)).href)
    return a
  }
  let token = ''
  const ann = await online(server, 'ann', { fetch: async (url, o) => { token = new Headers(o?.headers).get('Authorization') ?? token; return slow(url, o) } }), bob = await online(server, 'bob')
  const [a] = await pair(ann, bob)
  const gone = async (url: string): Promise<boolean> => (await fetch(url, { method: 'HEAD', headers: { Authorization: token, 'Tus-Resumable': '1.0.0' } })).status === 404
  const blob = new Blob([new Uint8Array(6 << 20)])
  const out = a.send({ files: [{ blob, name: 'large.bin' }] })
  await until('a part on its way', () => standing === 1)
  expect(await gone(begun[0]!)).toBe(false)
  expect(out.cancel()).toBe(true)
  await expect(out.sent).rejects.toMatchObject({ code: 'CANCELLED' })
  await until('it to be gone', () => gone(begun[0]!))
  const stop = new AbortController()
  const up = ann.files.upload(blob, { name: 'large.bin', signal: stop.signal })
  await until('another on its way', () => standing === 2)
  stop.abort()
  await expect(up).rejects.toMatchObject({ code: 'CANCELLED' })
  await until('that to be gone', () => gone(begun[1]!))
})
