// The WebSocket: signing in, resuming where it broke, requests and their answers,
// signs of life. What the frames mean is chat.js's business.

import { Failure } from './account.js'

const FIRST_WAIT = 500, LONGEST_WAIT = 20000 // ms between dials, with full jitter
const SILENCE = 10000 // ms without an answer after which a socket is taken for dead
const STEADY = 30000 // ms online after which the next break starts with short waits again

const ended = { UNAUTHORIZED: 'ended', ORIGIN_REFUSED: 'refused', REPLACED: 'replaced', CLIENT_TOO_OLD: 'tooOld' }
const endedBy = { 4501: 'ended', 4503: 'refused', 4509: 'replaced', 4526: 'tooOld' }

export class Wire {
  state = 'idle' // connecting, online, waiting, closed
  retryAt = 0
  position = null // epoch and offset of the newest event
  #ws = null
  #round = 0 // a dial's number: what an older one still says is not heard
  #tries = 0
  #next = 0
  #waiting = new Map() // requests by id
  #timers = {}

  /** on has state(), welcome(reply), frame(frame) and ended(why). */
  constructor(account, on) {
    this.account = account
    this.on = on
    const wake = () => this.wake()
    const lost = () => { this.#drop(); this.#later() }
    const seen = () => { if (document.visibilityState === 'visible') this.wake() }
    this.unlisten = () => {
      removeEventListener('online', wake); removeEventListener('pageshow', wake)
      removeEventListener('offline', lost); document.removeEventListener('visibilitychange', seen)
    }
    addEventListener('online', wake); addEventListener('pageshow', wake)
    addEventListener('offline', lost); document.addEventListener('visibilitychange', seen)
  }

  get online() { return this.state === 'online' }

  /** dial connects now, whatever was waited for. */
  async dial() {
    this.#drop()
    const round = ++this.#round
    this.#become('connecting')
    let token
    try {
      token = await this.account.fresh()
    } catch (e) {
      if (round === this.#round) e.code === 'UNAUTHORIZED' || e.code === 'TOKEN_EXPIRED' ? this.#end('ended') : this.#later()
      return
    }
    if (round !== this.#round) return
    const ws = this.#ws = new WebSocket(location.origin.replace(/^http/, 'ws') + '/ws')
    this.#timers.open = setTimeout(() => { if (ws === this.#ws) { this.#drop(); this.#later() } }, SILENCE)
    ws.onopen = () => {
      if (ws === this.#ws) this.#write({ type: 'auth', id: 'auth', token, device: this.account.device, platform: 'web', ...(this.position && { resume: this.position }) })
    }
    ws.onmessage = m => { if (ws === this.#ws) this.#heard(JSON.parse(m.data)) }
    ws.onclose = c => { if (ws === this.#ws) this.#closed(c.code) }
  }

  stop() {
    this.unlisten()
    this.#round++
    this.#drop()
    clearTimeout(this.#timers.dial)
    this.#become('closed')
  }

  /** wake makes sure of the connection after a sleep: asks for a sign of life, or dials at once. */
  wake() {
    if (this.state === 'waiting') this.dial()
    else if (this.online) { this.#beat(3000); this.#renewSoon() }
  }

  /** request sends a frame and gives its answer. It fails with OFFLINE when the connection goes first. */
  request(type, fields) {
    if (!this.online) return Promise.reject(new Failure('OFFLINE', 'not connected'))
    const id = 'r' + ++this.#next
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#fail(id, new Failure('TIMEOUT', type)), 15000)
      this.#waiting.set(id, { resolve, reject, timer })
      this.#write({ type, id, ...fields })
    })
  }

  #write(frame) { this.#ws?.send(JSON.stringify(frame)) }

  #heard(f) {
    if (f.type === 'auth_reply' && f.id === 'auth') return this.#welcomed(f)
    if (f.offset && this.position) this.position.offset = Math.max(this.position.offset, f.offset)
    if (f.type === 'goaway') { this.away = f.retryInMs; return }
    const w = f.id && this.#waiting.get(f.id)
    if (!w) return this.on.frame(f)
    this.#waiting.delete(f.id)
    clearTimeout(w.timer)
    f.errcode ? w.reject(new Failure(f.code, f.error, f.retryAfterMs)) : w.resolve(f)
  }

  #fail(id, e) {
    const w = this.#waiting.get(id)
    this.#waiting.delete(id)
    clearTimeout(w?.timer)
    w?.reject(e)
    if (e.code === 'TIMEOUT' && this.online) { this.#drop(); this.#later() } // a request that nobody answers: the socket is dead
  }

  #welcomed(f) {
    clearTimeout(this.#timers.open)
    if (f.errcode) return this.#turnedAway(f)
    this.refused = false
    this.position = { epoch: f.epoch, offset: f.offset ?? 0 }
    this.heartbeatMs = f.heartbeatMs
    this.#timers.steady = setTimeout(() => { this.#tries = 0 }, STEADY)
    this.#become('online')
    this.#beatSoon()
    this.#renewSoon()
    this.on.welcome(f)
  }

  // A token that is refused is renewed once; refused again, the login has ended.
  #turnedAway(f) {
    this.#drop()
    if (f.code === 'FORGET_POSITIONS') this.position = null
    if (f.code === 'TOKEN_EXPIRED' || f.code === 'UNAUTHORIZED') {
      if (this.refused) return this.#end('ended')
      this.refused = true
      this.account.goodUntil = 0
      return this.dial()
    }
    ended[f.code] ? this.#end(ended[f.code]) : this.#later(f.retryAfterMs)
  }

  #closed(code) {
    this.#drop()
    if (code === 4001) this.account.goodUntil = 0
    if (code === 4002) this.position = null
    if (code === 4501 && !this.refused) {
      this.refused = true
      this.account.goodUntil = 0
      return this.dial()
    }
    code >= 4500 && code < 5000 ? this.#end(endedBy[code] || 'ended') : this.#later(this.away)
    this.away = 0
  }

  #end(why) {
    this.stop()
    this.on.ended(why)
  }

  #later(wait) {
    if (this.state === 'closed') return
    wait ||= Math.random() * Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** Math.min(this.#tries++, 10)) + 100
    clearTimeout(this.#timers.dial)
    this.retryAt = Date.now() + wait
    this.#timers.dial = setTimeout(() => this.dial(), wait)
    this.#become('waiting')
  }

  #drop() {
    const ws = this.#ws
    this.#ws = null
    for (const k of ['open', 'beat', 'silence', 'renew', 'steady', 'dial']) clearTimeout(this.#timers[k])
    ws?.close()
    for (const id of [...this.#waiting.keys()]) this.#fail(id, new Failure('OFFLINE', 'the connection broke'))
  }

  #become(state) {
    this.state = state
    this.on.state()
  }

  #beatSoon() {
    clearTimeout(this.#timers.beat)
    this.#timers.beat = setTimeout(() => this.#beat(SILENCE), this.heartbeatMs * 0.8)
  }

  // The answer names the heads that moved, so that a lost last message is noticed.
  #beat(patience) {
    const ws = this.#ws
    clearTimeout(this.#timers.silence)
    this.#timers.silence = setTimeout(() => { if (ws === this.#ws && this.online) this.dial() }, patience)
    this.request('heartbeat').then(f => {
      clearTimeout(this.#timers.silence)
      this.on.frame(f)
      this.#beatSoon()
    }, () => {})
  }

  #renewSoon() {
    clearTimeout(this.#timers.renew)
    this.#timers.renew = setTimeout(() => this.#renew(), Math.max(0, this.account.renewAt - Date.now()))
  }

  // A second auth on the live socket: nothing is interrupted.
  async #renew() {
    try {
      await this.account.refresh()
      await this.request('auth', { token: this.account.token, device: this.account.device, platform: 'web' })
      this.#renewSoon()
    } catch (e) {
      if (e.code === 'UNAUTHORIZED') return this.#end('ended')
      this.#timers.renew = setTimeout(() => this.#renew(), 5000)
    }
  }
}
