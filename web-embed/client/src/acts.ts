import type { Command, Conversation, Draft, GroupRequest, GroupSettings, Hit, Id, JoinLink, LinkCard, LinkPreview, Links, Member, Message, NewGroup, Page, PersonRequest, PushTarget, SearchOptions, User, Users } from './api.js'
import type { Entry, Link, Profile, SessionHead } from './wire-types.js'
import type { Convo } from './convo.js'
import type { Core } from './core.js'
import type { Friends } from './contacts.js'
import type { Group } from './group.js'
import type { People } from './people.js'
import { query } from './rest.js'
import { newId } from './env.js'
import { prepare, tidy } from './content.js'
import { Segment } from './segment.js'
import { TroupeError } from './error.js'

// What people do now and then. Each is the work of a method.

const id = encodeURIComponent

/** An entry as frames have it, of one as REST has it: the times differ. */
function fromRest(e: any): Entry {
  const ms = (s: string): number => Date.parse(s), { createdAt, editedAt, deal, ...rest } = e
  return { ...rest, createdAt: ms(createdAt), ...(editedAt && { editedAt: ms(editedAt) }), ...(deal && { deal: { ...deal, at: deal.at && ms(deal.at) } }) }
}

// --- of the client

export async function open(core: Core, t: { user: Id } | NewGroup): Promise<Conversation> {
  const p2p = 'user' in t
  if (p2p) for (const c of core.known()) if (c.peer === t.user) return c
  const f = await core.ask('session_create', tidy(p2p
    ? { sessionType: 'p2p' as const, members: [t.user] }
    : {
        sessionType: t.muc ? 'muc' as const : 'group' as const, members: [...t.members], name: t.title, avatar: t.avatar, joinPolicy: t.joinPolicy, invitePolicy: t.invitePolicy,
        readOnly: t.readOnly, history: t.history === 'joined' ? 'joined' : undefined, clientMsgId: newId(core.env.clock),
      }) as never)
  const session = f.result[0]!, i = f.entities!.session[session]!
  const c = core.convo(session)
  if (!c.known_) {
    core.adopt(tidy({
      session, sessionType: i.sessionType, name: i.name, avatar: i.avatar, memberCount: i.memberCount, epoch: i.epoch, headSeq: i.headSeq ?? 0, readSeq: i.headSeq ?? 0, unread: 0,
      updatedAt: i.updatedAt ?? i.createdAt, sticky: false, muted: false, members: i.sessionType === 'p2p' ? (i.members ?? []).map(m => m.user) : undefined,
      role: i.owner === core.myId ? 'owner' : 'member', readOnly: i.readOnly, silenceAll: i.silenceAll,
    }) as SessionHead)
  }
  return c
}

export async function join(core: Core, by: { id: Id } | { code: string }): Promise<Conversation> {
  const f = await core.ask('session_join', 'id' in by ? { session: by.id } : { code: by.code })
  const c = core.convo(f.session)
  if (!c.known_) await core.refresh()
  return c
}

export async function preview(core: Core, code: string): Promise<LinkPreview> {
  const f = await core.ask('link_get', { code })
  return tidy({ conversation: f.session, title: f.name ?? '', avatar: f.avatar && core.link(f.avatar), memberCount: f.memberCount ?? 0, by: f.by, expiresAt: f.expiresAt ?? 0, member: !!f.member }) as LinkPreview
}

export async function search(core: Core, q: string, o: SearchOptions): Promise<Page<Hit>> {
  const time = (ms: number | undefined): string | undefined => (ms ? new Date(ms).toISOString() : undefined)
  const f = await core.rest.call('GET', '/messages/search' + query({
    q, session: o.in, sender: o.from, type: o.kind === 'call' ? 'liveaudio,livevideo' : o.kind, after: time(o.after), before: time(o.before), cursor: o.cursor, limit: o.limit,
  }), undefined, o.signal)
  return {
    items: (f.items ?? []).map((h: any): Hit => ({ message: core.convo(h.message.session).message_(fromRest(h.message)), conversation: h.message.session, snippet: h.snippet ?? '', marks: h.marks ?? [] })),
    ...(f.next && { next: f.next }),
  }
}

export async function linkPreview(core: Core, url: string): Promise<LinkCard> {
  const f = await core.rest.call('GET', '/links/preview' + query({ url }))
  if (!f.url) throw new TroupeError('NOT_FOUND', 'there is no preview') // 204
  return f.picture ? { ...f, picture: { ...f.picture, url: core.link(f.picture.url) } } : f
}

export async function push(core: Core, t?: PushTarget): Promise<void> { await core.rest.call(t ? 'PUT' : 'DELETE', '/users/me/devices/' + id(core.device) + '/push', t) }

// --- of a conversation

/** Reads what lies around a seq, as a part of its own; joins it to the newest where they touch. */
export async function around(c: Convo, seq: number, page: number): Promise<Segment> {
  if (c.seg && seq >= c.seg.low && seq <= c.seg.high) return c.seg
  const half = Math.ceil(page / 2)
  const [a, b] = await Promise.all([
    c.core.ask('sync', { session: c.id, beforeSeq: seq + 1, limit: half }),
    c.core.ask('sync', { session: c.id, afterSeq: seq, limit: half }),
  ])
  const list = [...(a.messages ?? []), ...(b.messages ?? [])]
  if (!list.length || (!a.messages?.length && seq < list[0]!.seq - 1)) throw new TroupeError('GONE', 'it is not kept any more')
  const seg = new Segment(list[0]!.seq, list.at(-1)!.seq)
  seg.more = a.hasMore
  for (const e of list) seg.put(e)
  return c.join(seg)
}

export async function newer(c: Convo, seg: Segment, page: number): Promise<Segment> {
  const f = await c.core.ask('sync', { session: c.id, afterSeq: seg.high, limit: page })
  for (const e of f.messages ?? []) {
    seg.put(e)
    seg.high = e.seq
    seg.affect(e)
  }
  if (!f.hasMore && !c.seg) await c.load()
  c.touch()
  return c.join(seg)
}

export async function entry(c: Convo, message: Id): Promise<Entry> { return fromRest(await c.core.rest.call('GET', '/sessions/' + id(c.id) + '/messages/' + id(message))) }

/** Does something to a message; the answer stands for the entry that the others are told. */
async function change(c: Convo, type: 'msg_edit' | 'msg_cancel' | 'msg_react' | 'msg_accept' | 'msg_refuse', message: Id, fields: object, e: Partial<Entry>): Promise<void> {
  const f = await c.core.ask(type, { session: c.id, messagerecvId: message, ...fields } as never) as { seq?: number }
  const old = c.find(message)
  if (!f.seq) return
  if (!old) { // it is elsewhere in the log: the entry itself is fetched
    c.mind(f.seq)
    return
  }
  c.core.echo({ session: c.id, seq: f.seq, messagerecvId: c.id + '.' + f.seq, sender: c.core.myId, target: old.seq, targetSender: old.sender, createdAt: c.core.serverNow, ...e })
}

export async function edit(c: Convo, message: Id, draft: Draft): Promise<void> {
  const { content, files } = prepare(draft)
  if (files) throw new TroupeError('UNSUPPORTED', 'an edit changes texts')
  const old = (c.find(message) ?? (await c.entry(message))).content
  // A caption is edited; the file beside it stays.
  const now = old && old.type !== 'text' && content.type === 'text' ? { ...old, text: content.text! } : content
  await change(c, 'msg_edit', message, { content: now }, { kind: 'edit', content: now })
}

export const revoke = (c: Convo, message: Id): Promise<void> => change(c, 'msg_cancel', message, {}, { kind: 'recall' })
export const react = (c: Convo, message: Id, reaction: string, on: boolean): Promise<void> => {
  const how = { reaction, ...(!on && { removed: true }) }
  return change(c, 'msg_react', message, how, { kind: 'react', ...how })
}
export const answerCall = (c: Convo, message: Id, answer: 'accept' | 'refuse'): Promise<void> => change(c, answer === 'accept' ? 'msg_accept' : 'msg_refuse', message, {}, { kind: 'answer', answer })

export async function leave(c: Convo): Promise<void> {
  await c.core.ask('session_exit', { session: c.id })
  c.core.remove(c.id)
}
export async function dissolve(c: Convo): Promise<void> {
  await c.core.ask('session_dissolve', { session: c.id })
  c.core.remove(c.id)
}

export async function held(c: Convo, cursor?: string): Promise<Page<Message>> {
  const f = await c.core.rest.call('GET', '/sessions/' + id(c.id) + '/held' + query({ cursor }))
  return { items: (f.items ?? []).map((e: any): Message => c.message_(fromRest(e))), ...(f.next && { next: f.next }) }
}
export async function original(c: Convo, message: Id): Promise<Message> { return c.message_(fromRest(await c.core.rest.call('GET', '/messages/' + id(message) + '/original'))) }
export async function decide(c: Convo, message: Id, verdict: string, reason?: string): Promise<void> { await c.core.rest.call('POST', '/messages/' + id(message) + '/deal', tidy({ verdict, reason })) }

export async function commands(c: Convo, locale?: string): Promise<readonly Command[]> {
  const { items = [] } = await c.core.rest.call('GET', '/sessions/' + id(c.id) + '/commands' + query({ locale }))
  return items.map((i: any): Command => ({
    name: i.name, bot: i.bot, online: !!i.online, help: i.help ?? '', ...(i.destructive && { destructive: true }),
    call: i.handle && items.some((o: any) => o.name === i.name && o.bot !== i.bot) ? i.name + '@' + i.handle : i.name,
    args: (i.args ?? []).map(({ default: std, ...x }: any) => ({ ...x, help: x.help ?? '', required: !!x.required, choices: x.choices ?? [], ...(std !== undefined && { std }) })),
  }))
}

// --- of a group. Whoever changes it gets an answer instead of the entry, so the entry is fetched.

async function done({ c }: Group, ask: Promise<{ seq?: number }>): Promise<void> {
  const f = await ask
  if (f.seq) {
    c.known = Math.max(c.known, f.seq)
    await c.repair()
    c.core.share({ t: 'mind', id: c.id, seq: f.seq })
  }
  c.people.stale()
}
export const set = (g: Group, fields: object): Promise<void> => done(g, g.c.core.ask('session_set', tidy({ session: g.c.id, ...fields }) as never) as Promise<{ seq?: number }>)
export const configure = (g: Group, { title, ...rest }: GroupSettings): Promise<void> => set(g, { name: title, ...rest })
export const add = (g: Group, users: readonly Id[]): Promise<void> => done(g, g.c.core.ask('session_add_user', { session: g.c.id, members: [...users] }))
export const remove = (g: Group, users: readonly Id[]): Promise<void> => done(g, g.c.core.ask('session_remove_user', { session: g.c.id, members: [...users] }))

export async function member(g: Group, user: Id): Promise<Member> {
  const f = await g.c.core.ask('session_get', { session: g.c.id, user })
  g.c.core.people.take(f.users)
  const m = f.info?.members?.[0]
  if (!m) throw new TroupeError('NOT_FOUND', 'no such member')
  return g.member(m)
}

export async function invite(g: Group, user: Id, note?: string): Promise<GroupRequest> {
  return g.c.core.friends.made(await g.c.core.ask('request_send', tidy({ target: g.c.id, kind: 'GROUP' as const, user, note }) as never)) as GroupRequest
}

export async function requests(g: Group): Promise<Page<GroupRequest>> {
  const f = await g.c.core.ask('request_list', { session: g.c.id, waiting: true, limit: 100 })
  return { items: (f.requests ?? []).map(r => g.c.core.friends.view(r) as GroupRequest), ...(f.next && { next: f.next }) }
}

const link = (l: Link): JoinLink => ({
  id: l.link, conversation: l.session, uses: l.uses ?? 0, used: l.used ?? 0, createdAt: l.createdAt ?? 0, expiresAt: l.expiresAt ?? 0, ...(l.code && { code: l.code }), ...(l.by && { by: l.by }),
})
export async function createLink(g: Group, o: NonNullable<Parameters<Links['create']>[0]>): Promise<JoinLink> {
  return link((await g.c.core.ask('link_create', tidy({ session: g.c.id, uses: o.uses, expiresIn: o.expiresInSeconds }) as never)).link!)
}
export async function listLinks(g: Group, cursor?: string): Promise<Page<JoinLink>> {
  const f = await g.c.core.ask('link_list', tidy({ session: g.c.id, cursor }) as never)
  return { items: (f.links ?? []).map(link), ...(f.next && { next: f.next }) }
}
export async function revokeLink(g: Group, l: Id): Promise<void> { await g.c.core.ask('link_revoke', { session: g.c.id, link: l }) }

// --- of contacts

export async function befriend(f: Friends, target: Id, kind: 'FRIEND' | 'GROUP', note?: string): Promise<PersonRequest> { return f.made(await f.core.ask('request_send', tidy({ target, kind, note }) as never)) }
export async function answer(f: Friends, request: Id, callBackType: number): Promise<PersonRequest> { return f.made(await f.core.ask('request_answer', { request, callBackType })) }

export async function unfriend(f: Friends, user: Id): Promise<void> {
  await f.core.ask('contact_remove', { user })
  const c = f.contacts.get(user)
  if (c) f.take({ ...c, friend: false }, !c.blocked)
}

export async function setContact(f: Friends, fields: object): Promise<void> {
  const { contact } = await f.core.ask('contact_set', tidy(fields) as never)
  if (contact) f.take(contact, !contact.friend && !contact.blocked)
}

// --- of people

export async function users(p: People, q: Record<string, string | number | undefined>, signal?: AbortSignal): Promise<Page<User>> {
  const { items, next } = await p.core.rest.call('GET', '/users' + query(q), undefined, signal)
  p.take(items, false)
  return { items: (items ?? []).map((u: Profile) => p.user(u.userId)), ...(next && { next }) }
}

export async function updateMe(p: People, what: Parameters<Users['update']>[0]): Promise<User> {
  const u = await p.core.rest.call('PUT', '/users/me', what)
  if (u.userId) p.take([u])
  return p.user(p.core.myId)
}
