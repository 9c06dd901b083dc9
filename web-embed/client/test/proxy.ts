import net from 'node:net'
import { onTestFinished } from 'vitest'

/** A TCP proxy that can cut, stall and swallow what goes through it. */
export class Proxy {
  url = ''
  /** What the server says is not passed on, and is lost. */
  deaf = false
  /** What the client says is not passed on, and is lost. */
  mute = false
  /** Connections are refused. */
  closed = false
  /** Nothing is read from the server, so that its buffers fill. */
  #stalled = false
  #pairs = new Set<[net.Socket, net.Socket]>()
  made = 0

  static async to(port: () => number): Promise<Proxy> {
    const p = new Proxy()
    const server = net.createServer({ pauseOnConnect: false }, client => {
      if (p.closed) return client.destroy()
      p.made++
      const up = net.connect(port(), '127.0.0.1')
      const pair: [net.Socket, net.Socket] = [client, up]
      p.#pairs.add(pair)
      const end = (): void => { p.#pairs.delete(pair); client.destroy(); up.destroy() }
      for (const s of pair) { s.on('error', end); s.on('close', end); s.setNoDelay(true) }
      client.on('data', d => { if (!p.mute) up.write(d) })
      up.on('data', d => { if (!p.deaf) client.write(d) })
      if (p.#stalled) up.pause()
    })
    await new Promise<void>(r => server.listen(0, '127.0.0.1', r))
    p.url = 'http://127.0.0.1:' + (server.address() as net.AddressInfo).port
    onTestFinished(() => { p.cut(); server.close() })
    return p
  }

  /** Breaks all connections. */
  cut(): void { for (const [a, b] of this.#pairs) { a.destroy(); b.destroy() } }

  /** Swallows everything in both directions, and keeps the connections open. */
  blackHole(on = true): void { this.deaf = this.mute = on }

  stall(on = true): void {
    this.#stalled = on
    for (const [, up] of this.#pairs) on ? up.pause() : up.resume()
  }
}
