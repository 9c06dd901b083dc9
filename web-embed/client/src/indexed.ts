import { openDB, type IDBPDatabase } from 'idb'
import type { StorageAdapter, StorageChange, Table } from './api.js'
import { failure, type TroupeError } from './error.js'
import { tables } from './store.js'

const patience = 4000 // ms for a database to open: some browsers never answer

/** Rows in IndexedDB: one database for each application and user. */
export class IndexedStorage implements StorageAdapter {
  private constructor(readonly db: IDBPDatabase) {}

  static async open(name: string, ended: (e: TroupeError) => void): Promise<IndexedStorage> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const opening = openDB(name, 1, {
      upgrade: db => { for (const t of tables) db.createObjectStore(t) },
      blocking: (_a, _b, e) => (e.target as IDBDatabase).close(), // another tab removes or upgrades it
      terminated: () => ended(failure(new Error('the database was closed'), 'STORAGE')),
    })
    const db = await Promise.race([
      opening,
      new Promise<never>((_, no) => { timer = setTimeout(() => no(new Error('the database does not open')), patience) }),
    ]).finally(() => clearTimeout(timer))
    return new IndexedStorage(db)
  }

  get(table: Table, key: string): Promise<unknown> { return this.db.get(table, key) }

  async list(table: Table, o: { from?: string; to?: string; limit?: number; reverse?: boolean } = {}): Promise<{ key: string; value: unknown }[]> {
    const { from, to } = o
    const range = from !== undefined && to !== undefined ? IDBKeyRange.bound(from, to) : from !== undefined ? IDBKeyRange.lowerBound(from) : to !== undefined ? IDBKeyRange.upperBound(to) : null
    const rows: { key: string; value: unknown }[] = []
    let at = await this.db.transaction(table).store.openCursor(range, o.reverse ? 'prev' : 'next')
    for (; at && rows.length < (o.limit ?? Infinity); at = await at.continue()) rows.push({ key: String(at.key), value: at.value })
    return rows
  }

  async write(changes: readonly StorageChange[]): Promise<void> {
    const tx = this.db.transaction([...new Set(changes.map(c => c.table))], 'readwrite')
    for (const c of changes) {
      const rows = tx.objectStore(c.table)
      void ('value' in c ? rows.put(c.value, c.key) : rows.delete('key' in c ? c.key : IDBKeyRange.bound(c.from, c.to))).catch(() => {}) // tx.done tells
    }
    await tx.done
  }

  async update(table: Table, key: string, f: (value: unknown) => unknown): Promise<unknown> {
    const tx = this.db.transaction(table, 'readwrite')
    const v = f(await tx.store.get(key))
    await tx.store.put(v, key)
    await tx.done
    return v
  }

  async wipe(): Promise<void> {
    const tx = this.db.transaction(tables, 'readwrite')
    for (const t of tables) void tx.objectStore(t).clear()
    await tx.done
    // The name alone would say who was here. Where another tab has it open, it is empty, and goes later.
    this.db.close()
    await new Promise<void>(done => {
      const gone = globalThis.indexedDB.deleteDatabase(this.db.name)
      gone.onsuccess = gone.onerror = gone.onblocked = () => done()
    })
  }

  close(): void { this.db.close() }
}
