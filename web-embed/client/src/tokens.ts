import type { ClientOptions, Clock, TokenRequest } from './api.js'
import { TroupeError, failure } from './error.js'

const patience = 30_000 // ms for getToken

/** The access token: asked for when one is needed, once for all who need it. */
export class Tokens {
  #token = ''
  #asked: Promise<string> | undefined
  #abort = new AbortController()

  constructor(readonly ask: ClientOptions['getToken'], readonly clock: Clock) {}

  /** The token there is, else a new one. `expiring` and `rejected` want a new one. */
  get(reason: TokenRequest['reason']): Promise<string> {
    if (reason === 'initial' && this.#token) return Promise.resolve(this.#token)
    return (this.#asked ??= this.#fetch(reason).finally(() => { this.#asked = undefined }))
  }

  async #fetch(reason: TokenRequest['reason']): Promise<string> {
    let timer: unknown
    try {
      return (this.#token = await Promise.race([
        Promise.resolve().then(() => this.ask({ reason, signal: this.#abort.signal })),
        new Promise<never>((_, no) => { timer = this.clock.setTimeout(() => no(new TroupeError('TIMEOUT', 'getToken')), patience) }),
      ]))
    } catch (e) {
      throw failure(e)
    } finally {
      this.clock.clearTimeout(timer)
    }
  }

  forget(): void { this.#token = '' }

  end(): void {
    this.#abort.abort()
    this.#token = ''
  }
}
