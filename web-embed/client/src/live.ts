import type { Live } from './api.js'

/** What happens to errors of those who listen. */
export type Blame = (error: unknown) => void

/** Gathers who has to hear of something new, and tells them once per turn. */
export class Bell {
  #due = new Set<Cell<any>>()
  constructor(readonly blame: Blame) {}

  ring(c: Cell<any>): void {
    if (!this.#due.size) queueMicrotask(() => this.flush())
    this.#due.add(c)
  }

  flush(): void {
    for (let turn = 0; this.#due.size && turn < 100; turn++) {
      const due = this.#due
      this.#due = new Set()
      for (const c of due) c.tell()
    }
  }
}

/**
 * A Live: either set, or computed by `make` when somebody looks after `touch`. `first` and
 * `last` hear of the first subscriber and of the last one's leaving.
 */
export class Cell<T> implements Live<T> {
  #value!: T
  #stale: boolean
  #told: T | undefined
  #subscribers = new Set<(value: T) => void>()

  constructor(readonly bell: Bell, value: T | undefined, readonly make?: (old: T | undefined) => T, readonly first?: () => void, readonly last?: () => void) {
    this.#value = value as T
    this.#stale = !!make
  }

  get value(): T {
    if (this.#stale && this.make) {
      this.#stale = false
      this.#value = this.make(this.#value)
    }
    return this.#value
  }

  set(value: T): void {
    this.#value = value
    this.#ring()
  }

  /** touch says that the value may be another one. */
  touch(): void {
    if (this.#stale && !this.#subscribers.size) return
    this.#stale = true
    this.#ring()
  }

  #ring(): void {
    if (this.#subscribers.size) this.bell.ring(this)
  }

  get watched(): boolean { return this.#subscribers.size > 0 }

  subscribe = (f: (value: T) => void): (() => void) => {
    const mine = (v: T): void => f(v) // the same function may listen twice
    if (!this.#subscribers.size) this.first?.()
    this.#subscribers.add(mine)
    this.#told = this.value
    this.#call(mine, this.#told)
    return () => {
      if (this.#subscribers.delete(mine) && !this.#subscribers.size) this.last?.()
    }
  }

  tell(): void {
    const v = this.value
    if (v === this.#told) return
    this.#told = v
    for (const f of [...this.#subscribers]) this.#call(f, v)
  }

  #call(f: (value: T) => void, v: T): void {
    try {
      f(v)
    } catch (e) {
      this.bell.blame(e)
    }
  }
}
