import { shallowRef, type ShallowRef } from 'vue'
import type { Code, TroupeClient } from '@troupe/client'

export interface Ended { readonly code: Code; readonly reason: string }

/** useEnded says when the client has ended for good, and why. */
export function useEnded(client: TroupeClient): { ended: Readonly<ShallowRef<Ended | null>>; stop(): void } {
  const ended = shallowRef<Ended | null>(null)
  const stops = [
    client.on('kicked', k => { ended.value = k }),
    client.connection.subscribe(c => {
      if (c.state === 'closed' && c.error && c.error.code !== 'CLOSED') ended.value = { code: c.error.code, reason: c.error.message }
      else if (c.state !== 'closed') ended.value = null
    }),
  ]
  return { ended, stop: () => stops.forEach(f => f()) }
}
