import type { StorageAdapter, StorageChange, Table } from './api.js'
import { failure, type TroupeError } from './error.js'

export const tables: Table[] = ['meta', 'conversations', 'entries', 'users', 'outbox']

/** Rows in memory, gone with the client. */
export class MemoryStorage implements StorageAdapter {
  #rows = new Map<Table, Map<string, unknown>>(tables.map(t => [t, new Map()]))
  #of(t: Table): Map<string, unknown> { return this.#rows.get(t)! }

  async get(table: Table, key: string): Promise<unknown> { return this.#of(table).get(key) }

  async list(table: Table, o: { from?: string; to?: string; limit?: number; reverse?: boolean } = {}): Promise<{ key: string; value: unknown }[]> {
    const keys = [...this.#of(table).keys()].filter(k => (o.from === undefined || k >= o.from) && (o.to === undefined || k <= o.to)).sort()
    if (o.reverse) keys.reverse()
    return keys.slice(0, o.limit).map(key => ({ key, value: this.#of(table).get(key) }))
  }

  async write(changes: readonly StorageChange[]): Promise<void> {
    for (const c of changes) {
      const rows = this.#of(c.table)
      if ('value' in c) rows.set(c.key, c.value)
      else if ('key' in c) rows.delete(c.key)
      else for (const k of [...rows.keys()]) if (k >= c.from && k <= c.to) rows.delete(k)
    }
  }

  async update(table: Table, key: string, f: (value: unknown) => unknown): Promise<unknown> {
    const v = f(this.#of(table).get(key))
    this.#of(table).set(key, v)
    return v
  }

  async wipe(): Promise<void> { for (const rows of this.#rows.values()) rows.clear() }
  close(): void {}
}

/**
 * What is to be written, gathered: all that one frame changed, and the offset it had, go into
 * one transaction. When writing fails it goes on in memory, and says so.
 */
export class Keeper {
  #next = new Map<string, { c: StorageChange; make?: () => unknown }>()
  #busy: Promise<void> | null = null
  #scheduled = false
  /** Nothing is kept: it was wiped. */
  closed = false

  constructor(public storage: StorageAdapter, readonly broken: (e: TroupeError) => void) {}

  /** Keeps a row; `make` is asked for it when it is written. */
  put(table: Table, key: string, make: () => unknown): void { this.#add(table + '/' + key, { c: { table, key, value: null }, make }) }
  drop(table: Table, key: string): void { this.#add(table + '/' + key, { c: { table, key, remove: true } }) }
  dropRange(table: Table, from: string, to: string): void { this.#add(table + '/' + from + '..', { c: { table, from, to, remove: true } }) }

  #add(id: string, x: { c: StorageChange; make?: () => unknown }): void {
    if (this.closed) return
    this.#next.delete(id) // it is done where it was asked for last
    this.#next.set(id, x)
    if (!this.#scheduled) {
      this.#scheduled = true
      queueMicrotask(() => { void this.flush() })
    }
  }

  /** Waits until everything there is so far is kept. */
  async flush(): Promise<void> {
    this.#scheduled = false
    while (this.#busy) await this.#busy
    if (!this.#next.size || this.closed) return
    const changes = [...this.#next.values()].map(x => (x.make ? { ...x.c, value: x.make() } : x.c) as StorageChange)
    this.#next.clear()
    this.#busy = this.storage.write(changes).catch(async e => {
      if (this.closed) return
      this.storage = new MemoryStorage()
      this.broken(failure(e, 'STORAGE'))
      await this.storage.write(changes)
    }).finally(() => { this.#busy = null })
    await this.#busy
  }
}

/** seqKey is an entry's key: in order of conversations and seqs. */
export const seqKey = (conversation: string, seq: number): string => conversation + '\u0000' + String(seq).padStart(16, '0')
