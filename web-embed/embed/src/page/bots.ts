import type { Account } from '@troupe/client/account'
import { asker } from './ask'

/** A bot as administrators see it (docs/bots.md): its process, and how it stands to sessions. */
export interface AdminBot {
  id: string; name: string; version?: string; builtIn?: boolean; remote?: boolean; nodes?: string[]
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
  const ask = asker(account)
  const bot = (id: string) => '/admin/bots/' + encodeURIComponent(id)
  return {
    list: (): Promise<AdminBots> => ask('GET', '/admin/bots'),
    logs: (id: string, after: number): Promise<{ items: LogLine[]; last: number }> => ask('GET', bot(id) + '/logs?after=' + after),
    act: (id: string, what: 'restart' | 'enable' | 'disable' | 'approve', body?: object): Promise<AdminBot> => ask('POST', bot(id) + '/' + what, body),
  }
}
