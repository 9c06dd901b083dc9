import { spawn, type ChildProcess } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inject, onTestFailed, onTestFinished } from 'vitest'

const secret = 'what only these tests and their server know'

/** The real program in a process of its own. */
export class Server {
  url = ''
  port = 0
  #data = mkdtempSync(join(tmpdir(), 'troupe-data-'))
  #process: ChildProcess | null = null
  #log = ''

  private constructor(readonly env: Record<string, string>) {}

  /** Starts one until the test ends. */
  static async start(env: Record<string, string> = {}): Promise<Server> {
    const s = new Server(env)
    onTestFailed(() => console.error('the server said:\n' + s.#log))
    onTestFinished(async () => {
      await s.kill()
      rmSync(s.#data, { recursive: true, force: true })
    })
    await s.again()
    return s
  }

  /** Starts it, again at the same address on the same data. */
  async again(): Promise<void> {
    const p = spawn(inject('binary'), ['serve'], {
      env: {
        ...Object.fromEntries(Object.entries(process.env).filter(([k]) => !k.startsWith('TROUPE_'))), TROUPE_LISTEN: '127.0.0.1:' + this.port, TROUPE_DATA: join(this.#data, 'data'), TROUPE_PROFILE: 'test',
        TROUPE_IDENTITY_SECRET: secret, TROUPE_RATE: '0', TROUPE_REGISTER: 'open', TROUPE_FFMPEG: 'off', ...this.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#process = p
    let out = ''
    p.stdout!.on('data', d => { out += d; this.#log += d })
    p.stderr!.on('data', d => { this.#log += d; out += d })
    await until('the server to say its address', () => {
      const m = /http:\/\/127\.0\.0\.1:(\d+)/.exec(out)
      if (m) this.port = Number(m[1])
      if (p.exitCode !== null) throw new Error('the server ended while it started:\n' + this.#log)
      return !!m
    })
    this.url = 'http://127.0.0.1:' + this.port
    await until('the server to be ready', () => fetch(this.url + '/readyz').then(r => r.ok, () => false))
  }

  /** Ends it as a power cut would, or (SIGTERM) as an operator. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const p = this.#process
    this.#process = null
    if (!p || p.exitCode !== null) return
    const ended = new Promise(r => p.once('exit', r))
    p.kill(signal)
    await ended
  }

  /** With it one registers as the first administrator. It is printed while one is served already. */
  async setupCode(): Promise<string> {
    const said = (): string | undefined => /setup-[a-z0-9]+/.exec(this.#log)?.[0]
    await until('the first administrator’s code', said)
    return said()!
  }

  /** What a trusted outside system gives user. */
  token(user: string, seconds = 3600): string {
    const part = (o: object): string => Buffer.from(JSON.stringify(o)).toString('base64url')
    const text = part({ alg: 'HS256', typ: 'JWT' }) + '.' + part({ sub: user, name: user, exp: Math.floor(Date.now() / 1000) + seconds })
    return text + '.' + createHmac('sha256', secret).update(text).digest('base64url')
  }
}

/** Waits for a condition, however slow the machine is. */
export async function until(what: string, f: () => unknown, ms = 45_000): Promise<void> {
  for (const end = Date.now() + ms; ;) {
    if (await f()) return
    if (Date.now() > end) throw new Error('waited in vain for ' + what)
    await new Promise(r => setTimeout(r, 5))
  }
}
