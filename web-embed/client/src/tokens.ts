import type { Account, ClientOptions, Clock, TokenRequest } from './api.js'
import { TroupeError, failure } from './error.js'

const patience = 30_000 // ms for getToken

/** The access token: asked for when one is needed, once for all who need it. */
export class Tokens {
  #token = ''
  #asked: Promise<string> | undefined
  #abort = new AbortController()
  #login: Account | null = null // what a back end's token was traded for: it renews itself

  /** `trade` gives a login for a token that is signed for the application, null for an access token. */
  constructor(readonly ask: ClientOptions['getToken'], readonly clock: Clock, readonly trade: (token: string) => Promise<Account> | null) {}

  /** The token there is, else a new one. `expiring` and `rejected` want a new one. */
  get(reason: TokenRequest['reason']): Promise<string> {
    if (reason === 'initial' && this.#token) return Promise.resolve(this.#token)
    return (this.#asked ??= this.#fetch(reason).finally(() => { this.#asked = undefined }))
  }

  async #fetch(reason: TokenRequest['reason']): Promise<string> {
    let timer: unknown
    try {
      return (this.#token = await Promise.race([
        this.#access({ reason, signal: this.#abort.signal }),
        new Promise<never>((_, no) => { timer = this.clock.setTimeout(() => no(new TroupeError('TIMEOUT', 'getToken')), patience) }),
      ]))
    } catch (e) {
      throw failure(e)
    } finally {
      this.clock.clearTimeout(timer)
    }
  }

  async #access(why: TokenRequest): Promise<string> {
    try {
      if (this.#login) return await this.#login.getToken(why)
    } catch (e) {
      if (failure(e).code !== 'UNAUTHORIZED') throw e // the login has ended, and the back end may know of another
    }
    const token = await this.ask(why)
    this.#login = await this.trade(token)
    return this.#login ? this.#login.getToken() : token
  }

  forget(): void { this.#token = '' }

  /** Ends the login that a token was traded for. */
  async signOut(): Promise<void> { await this.#login?.signOut() }

  end(): void {
    this.#abort.abort()
    this.#token = ''
  }
}
