import { codeOf } from './errors.mjs'

/** A room of keys that the host keeps: values are bytes, or JSON. */
export class KV {
  #c; #session
  constructor(c, session) {
    this.#c = c
    this.#session = session || '-'
  }

  #do(call) { return this.#c.do({ ...call, session: this.#session }) }

  /** { value: Buffer, version }: the version 0 says that the key is not there. */
  async get(key) {
    try {
      const { kv } = await this.#do({ kvGet: { key } })
      return { key, value: kv?.value ?? Buffer.alloc(0), version: Number(kv?.version ?? 0), expiresAt: Number(kv?.expiresAt ?? 0) }
    } catch (err) {
      if (codeOf(err) !== 'NOT_FOUND') throw err
      return { key, value: Buffer.alloc(0), version: 0, expiresAt: 0 }
    }
  }

  /** Writes a key: for ever, or for ttl milliseconds. */
  async set(key, value, ttl = 0) { await this.#do({ kvSet: { key, value: Buffer.from(value), ttlMs: ttl } }) }

  /** Writes a key if it still has that version (0: is not there); else CONFLICT. */
  async swap(key, value, version) { await this.#do({ kvSet: { key, value: Buffer.from(value), ifVersion: version } }) }

  async delete(key) { await this.#do({ kvSet: { key, remove: true } }) }

  /** The keys with a prefix, in order. */
  async *list(prefix = '') {
    for (let after = ''; ;) {
      const { kvList } = await this.#do({ kvList: { prefix, after, limit: 100 } })
      const items = kvList?.items ?? []
      for (const i of items) yield { key: i.key, value: i.value, version: Number(i.version), expiresAt: Number(i.expiresAt) }
      if (!kvList?.more || !items.length) return
      after = items.at(-1).key
    }
  }

  /** What a key has as JSON; undefined when it is not there. */
  async getJSON(key) {
    const { value, version } = await this.get(key)
    return version ? JSON.parse(value.toString()) : undefined
  }

  async setJSON(key, value, ttl = 0) { await this.set(key, JSON.stringify(value), ttl) }

  /** Changes what a key has, whoever else does so: f gets it (undefined: nothing) and gives what is to be there. */
  async update(key, f) {
    for (let tries = 1; ; tries++) {
      const { value, version } = await this.get(key)
      const next = await f(version ? JSON.parse(value.toString()) : undefined)
      try {
        await this.swap(key, JSON.stringify(next), version)
        return next
      } catch (err) {
        if (codeOf(err) !== 'CONFLICT' || tries === 20) throw err
      }
    }
  }
}
