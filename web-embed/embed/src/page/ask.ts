import type { Account } from '@troupe/client/account'

/** asker asks the server by REST, as whoever is signed in. An error has the server's code. */
export const asker = (account: Account) => async (method: string, path: string, body?: object): Promise<any> => {
  for (let again = false; ; again = true) {
    const token = await account.getToken({ reason: again ? 'rejected' : 'initial' })
    const res = await fetch('/api/v2' + path, {
      method, cache: 'no-store', headers: { Authorization: 'Bearer ' + token, ...(body && { 'Content-Type': 'application/json' }) }, ...(body && { body: JSON.stringify(body) }),
    })
    const data = await res.json().catch(() => ({}))
    if (res.ok) return data
    if (res.status !== 401 || again) throw Object.assign(new Error(data.detail ?? data.title ?? res.statusText), { code: data.code ?? 'INTERNAL' })
  }
}
