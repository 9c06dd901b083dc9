import { clean } from './errors.mjs'
import { contentOf } from './card.mjs'

const beat = 50 // milliseconds: nobody reads quicker
const part = 32 * 1024 // bytes of one part at most

/** An answer that people see while it is written: write, then close. */
export class Stream {
  #c; #n; #decoder = new TextDecoder(); #text = ''; #unsent = ''; #offset = 0; #last = -Infinity; #timer; #shut = false

  constructor(c, n, { replyTo = '', variantOf = '' } = {}) {
    this.#c = c
    this.#n = n
    this.replyTo = replyTo
    this.variantOf = variantOf
  }

  /** What was written so far. */
  get text() { return this.#text }

  /** Takes a part of the text: a string, or UTF-8 that may be cut anywhere. Waits while the host does not read. */
  async write(chunk) {
    if (this.#shut) throw new Error('write to a stream that is closed')
    this.#c.signal.throwIfAborted()
    const text = typeof chunk === 'string' ? chunk : this.#decoder.decode(chunk, { stream: true })
    this.#text += text
    this.#unsent += text
    await this.#flow()
  }

  async #flow() {
    if (this.#timer || !this.#unsent) return
    const wait = beat - (performance.now() - this.#last)
    if (wait > 0 && this.#unsent.length < part / 4) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined
        if (!this.#shut && !this.#c.signal.aborted) this.#flush().catch(() => {})
      }, wait)
      return
    }
    await this.#flush()
  }

  async #flush() {
    this.#last = performance.now()
    let rest = this.#unsent
    this.#unsent = ''
    if (endsInHalf(rest)) { // a letter of two halves, of which one is here
      this.#unsent = rest.slice(-1)
      rest = rest.slice(0, -1)
    }
    while (rest) {
      let end = Math.min(rest.length, part / 4)
      if (end < rest.length && endsInHalf(rest.slice(0, end))) end--
      const text = clean(rest.slice(0, end))
      rest = rest.slice(end)
      const offset = this.#offset
      this.#offset += Buffer.byteLength(text)
      await this.#c.tell({ delta: { n: this.#n, offset, text, replyTo: this.replyTo } })
    }
  }

  /** Makes a message of what was written; after a Stop it is marked as cancelled. A second close does nothing. */
  async close(end = {}) {
    if (this.#shut) return undefined
    this.abandon()
    const stopped = this.#c.stopped
    const text = clean(end.text ?? this.#text + this.#decoder.decode())
    const r = await this.#c.do({
      end: {
        n: this.#n, text, content: contentOf({ content: end.content }), finish: end.finish ?? (stopped ? 'cancelled' : 'stop'),
        replyTo: this.replyTo, variantOf: this.variantOf, model: end.model ?? '',
        promptTokens: end.promptTokens ?? 0, completionTokens: end.completionTokens ?? 0,
      },
    }, { afterStop: stopped })
    return r.posted
  }

  /** Ends the stream because of an error: what was written stays, marked as failed. */
  async fail(err) {
    if (this.#c.stopped) return this.close()
    this.#c.log('a stream failed', String(err))
    return this.close({ finish: 'failed' })
  }

  /** Leaves the draft as it is: the event comes again, and with it the draft. */
  abandon() {
    this.#shut = true
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

const endsInHalf = (s) => { const c = s.charCodeAt(s.length - 1); return c >= 0xd800 && c <= 0xdbff }
