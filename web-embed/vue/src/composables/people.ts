import { onScopeDispose, shallowRef, type ShallowRef } from 'vue'
import type { Id, TroupeClient, User } from '@troupe/client'
import { clean } from '../text/plain'

/** usePeople answers profiles by id; whatever reads one is drawn anew when it changes. */
export function usePeople(client: TroupeClient): (id: Id) => User {
  const known = new Map<Id, ShallowRef<User>>()
  const stops: (() => void)[] = []
  onScopeDispose(() => stops.forEach(stop => stop()))
  return id => {
    let ref = known.get(id)
    if (!ref) {
      const live = client.users.get(id)
      const made = shallowRef(tidy(live.value))
      ref = made
      known.set(id, made)
      stops.push(live.subscribe(u => { if (u !== made.value) made.value = tidy(u) }))
    }
    return ref.value
  }
}

/** Names lose what would turn the text around them. */
function tidy(u: User): User {
  const name = clean(u.name), nickname = clean(u.nickname)
  return name === u.name && nickname === u.nickname ? u : { ...u, name, nickname }
}
