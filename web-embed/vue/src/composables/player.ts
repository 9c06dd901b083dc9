import { ref, shallowRef, type Ref } from 'vue'

/** What plays sound, one at a time; when one ends, the next unheard one after it begins. */
export interface Sound { key: string; pause(): void }
export interface Voice extends Sound { seq: number; heard(): boolean; play(): void }

const voices = new Map<string, Voice>()
const playing = shallowRef<Sound | null>(null)
export const speed: Ref<number> = ref(1)
const speeds = [1, 1.5, 2]

export const player = {
  register(v: Voice) { voices.set(v.key, v) },
  remove(key: string) {
    voices.delete(key)
    if (playing.value?.key === key) playing.value = null
  },
  started(v: Sound) {
    if (playing.value && playing.value.key !== v.key) playing.value.pause()
    playing.value = v
  },
  ended(v: Voice) {
    if (playing.value?.key !== v.key) return
    playing.value = null
    let next: Voice | undefined
    for (const other of voices.values()) {
      if (other.seq > v.seq && !other.heard() && (!next || other.seq < next.seq)) next = other
    }
    next?.play()
  },
  faster() { speed.value = speeds[(speeds.indexOf(speed.value) + 1) % speeds.length]! },
}

const kept = 500
const storageKey = 'troupe.heard'
let heard: Set<string> | undefined
function load(): Set<string> {
  if (heard) return heard
  try {
    heard = new Set(JSON.parse(localStorage.getItem(storageKey) ?? '[]') as string[])
  } catch {
    heard = new Set()
  }
  return heard
}
export const wasHeard = (id: string): boolean => load().has(id)
/** setHeard remembers it in this browser, where it has a place for it. */
export function setHeard(id: string) {
  const all = load()
  all.add(id)
  try {
    localStorage.setItem(storageKey, JSON.stringify([...all].slice(-kept)))
  } catch { /* a page without storage forgets it */ }
}
