import type { Account } from '@troupe/client/account'

/** A bot as administrators see it (docs/bots.md): its process, and how it stands to sessions. */
export interface AdminBot {
  id: string; name: string; version?: string; builtIn?: boolean; remote?: boolean
  state: string; since: string; why?: string; up: boolean
  pid?: number; startedAt?: string; tookMs?: number; rss?: number; pss?: number; isolation?: string; sdk?: string
  starts: number; crashes: number; circuit: string; retryAt?: string; inHand: number
  personas: { user: string; name: string; about?: string; avatar?: string }[]
  commands: { name: string; help?: string; destructive?: boolean }[]
  scopes: string[]; asked: string[]
  approve: { version: string; why: string; scopes: string[]; new: string[] }[]
  events: { at: string; state: string; why?: string }[]
  lagEvents: number; lagSeconds: number; deadLetters: number; redelivered: number; acked: number; ackSeconds: number; unjudged: number; judged: number; drafts: number
  tokensToday: number; costToday: number
}
export interface AdminBots { items: AdminBot[]; isolation: string; isolationWhy?: string; models: boolean }
export interface LogLine { n: number; at: string; level?: string; text: string }

/** What administrators ask of bots, as whoever is signed in. */
export function botsOf(account: Account) {
  const ask = async (method: string, path: string, body?: object): Promise<any> => {
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
  const bot = (id: string) => '/admin/bots/' + encodeURIComponent(id)
  return {
    /** Whether there is anything to ask: administrators alone have bots to look after. */
    admin: (): Promise<boolean> => ask('GET', '/users/me').then(u => !!u.admin, () => false),
    list: (): Promise<AdminBots> => ask('GET', '/admin/bots'),
    logs: (id: string, after: number): Promise<{ items: LogLine[]; last: number }> => ask('GET', bot(id) + '/logs?after=' + after),
    act: (id: string, what: 'restart' | 'enable' | 'disable' | 'approve', body?: object): Promise<AdminBot> => ask('POST', bot(id) + '/' + what, body),
  }
}
