import type { Card, CardButton, CardField, Draft, FileDraft, FileRef, Forwarded, Id, Json, Kind, NewFile, Part, TextDraft } from './api.js'
import type { Content } from './wire-types.js'
import { TroupeError } from './error.js'

/** What a draft becomes: the wire's content, and files that have to be uploaded first. */
export interface Prepared {
  content: Content
  mentions?: string[]
  files?: NewFile[]
}

const isText = (d: Draft): d is { text: string } => typeof d === 'object' && 'text' in d && !('files' in d)
const media = ['image', 'voice', 'video', 'file']
type Meta = Omit<FileRef, 'blob'> & { kind?: string }

/** Makes the wire's content of what somebody is about to send. */
export function prepare(d: Draft): Prepared {
  if (typeof d === 'string') d = { text: d }
  if (isText(d)) {
    const { text, format, mentions, command } = d as TextDraft
    const data = tidy({ format: format === 'md' ? format : undefined, troupe: command && tidy({ command: command.name, args: command.args }) })
    return { content: { type: 'text', text, ...(Object.keys(data).length && { data }) }, ...(mentions?.length && { mentions: [...mentions] }) }
  }
  if ('files' in d) return withFiles(d)
  if ('card' in d) {
    const { title, text, image, url, data, done: _, ...more } = d.card
    return { content: tidy({ type: 'card', title, text, url, thumb: image, data: Object.keys(more).length ? { ...(data as object), ...more } : data }) }
  }
  if ('link' in d) return { content: tidy({ type: 'link', url: d.link.url, title: d.link.title, digest: d.link.text, thumb: d.link.thumb, data: d.link.data }) }
  if ('call' in d) return { content: { type: d.call === 'video' ? 'livevideo' : 'liveaudio' } }
  if ('content' in d) return { content: d.content as unknown as Content }
  throw new TroupeError('BAD_REQUEST', 'a draft needs a text, files, a card, a link or a call')
}

function withFiles(d: FileDraft): Prepared {
  if (!d.files.length) throw new TroupeError('BAD_REQUEST', 'files: none')
  const kinds = d.files.map(f => f.kind ?? kindOf(f.mime ?? f.blob?.type ?? ''))
  const type = kinds.every(k => k === kinds[0]) ? kinds[0]! : 'file'
  return { content: { type, ...(d.text && { text: d.text }) }, files: d.files.map((f, i) => ({ ...f, kind: kinds[i]! })), ...(d.mentions?.length && { mentions: [...d.mentions] }) }
}

export function kindOf(mime: string): 'image' | 'video' | 'voice' | 'file' {
  if (/^image\/(png|jpe?g|gif|webp)/.test(mime)) return 'image'
  return mime.startsWith('video/') ? 'video' : mime.startsWith('audio/') ? 'voice' : 'file'
}

/** Names the files in content, once they are on the server. */
export function name(content: Content, files: readonly Meta[]): Content {
  const [f] = files
  if (files.length === 1 && f) {
    const { id, name, mime, size, width, height, duration, thumb, peaks, placeholder } = f
    const data = tidy({ peaks, placeholder })
    return tidy({ ...content, file: id, name, mime, size, width, height, duration, thumb, data: Object.keys(data).length ? data : undefined })
  }
  return { ...content, files: files.map(f => f.id!), data: { files: files.map(({ id: _, ...f }) => tidy(f)) } }
}

/** tidy leaves out what is undefined, so that what is sent again is the same. */
export function tidy<T extends object>(o: T): T {
  return Object.fromEntries(Object.entries(o).filter(([, v]) => v !== undefined)) as T
}

export function kind(c: Content | undefined): Kind {
  if (!c) return 'other'
  switch (c.type) {
    case 'reserved_11': case 'reserved_13': return 'other'
    case 'liveaudio': case 'livevideo': return 'call'
    case 'forward_image': return c.file ? 'image' : 'forward'
    default: return c.type
  }
}

/** Calls, buttons and forms: an answer to a card, or a wish about a bot's reply. It is not shown by itself. */
export interface Deed {
  action: string
  values?: Json
}
export function deed(c: Content | undefined): Deed | null {
  const d = c?.type === 'card' ? (c.data as { troupe?: Deed } | undefined)?.troupe : undefined
  return d && typeof d.action === 'string' ? d : null
}

/** Bots that the server runs have ids of their own (docs/bots.md). */
export const isBot = (user: Id): boolean => user.startsWith('b_')

/** What bots and we say beside a content. */
export interface Beside {
  command?: string
  args?: Json
  /** The first of several answers to one question. */
  variantOf?: Id
  /** How the writing of it ended: stop, length, cancelled, interrupted, failed. */
  finish?: string
  /** Which model wrote it. */
  model?: string
}
export const troupe = (c: Content | undefined): Beside | undefined => (c?.data as { troupe?: Beside } | undefined)?.troupe

const obj = (x: unknown): Record<string, any> => (x && typeof x === 'object' && !Array.isArray(x) ? (x as Record<string, any>) : {})
const list = <T>(x: unknown, ok: (v: Record<string, any>) => boolean): T[] | undefined => (Array.isArray(x) ? x.filter(v => ok(obj(v))) as T[] : undefined)
const str = (x: unknown): string | undefined => (typeof x === 'string' ? x : undefined)

/** What a content says, in parts. `blobs` are those that are sent from here. */
export function parts(c: Content | undefined, blobs?: readonly NewFile[]): Part[] {
  if (!c) return []
  const data = obj(c.data)
  const out: Part[] = []
  if (media.includes(c.type) || c.type === 'forward_image' && c.file) {
    const metas: any[] = Array.isArray(data['files']) ? data['files'] : []
    const names = c.files?.length ? c.files : c.file || c.url ? [c.file ?? c.url!] : []
    const n = Math.max(names.length, blobs?.length ?? 0)
    for (let i = 0; i < n; i++) {
      const m: any = { ...(n === 1 ? { ...c, peaks: data['peaks'], placeholder: data['placeholder'] } : obj(metas[i])), ...(blobs?.[i] && tidy(blobs[i]!)) }
      const b = blobs?.[i]?.blob
      const file: FileRef = tidy({
        id: names[i] ?? m.id, name: str(m.name) ?? (b as File | undefined)?.name ?? '', mime: str(m.mime) ?? b?.type ?? '', size: Number(m.size ?? b?.size) || 0,
        width: m.width, height: m.height, duration: m.duration, thumb: str(m.thumb), placeholder: str(m.placeholder),
        peaks: Array.isArray(m.peaks) ? m.peaks : undefined, blob: b,
      }) as FileRef
      const t = media.includes(m.kind) ? m.kind : c.type === 'forward_image' ? 'image' : c.type
      out.push({ t, file })
    }
  }
  switch (c.type) {
    case 'card': out.push({ t: 'card', card: card(c) }); return out
    case 'article': case 'jump': case 'share': case 'link':
      out.push({ t: 'link', link: tidy({ url: c.url ?? '', title: c.title, text: c.digest ?? c.text, thumb: c.thumb, data: c.data as Json }) as any })
      return out
    case 'forward':
      if (c.forwarded?.length) out.push({ t: 'forward', ...(c.title && { title: c.title }), items: c.forwarded.map(f => tidy({ conversation: f.session, id: f.messagerecvId, from: f.sender, at: f.createdAt, text: f.text ?? '' }) as Forwarded) })
      break
    case 'liveaudio': case 'livevideo': out.push({ t: 'call', video: c.type === 'livevideo', ...(c.data !== undefined && { data: c.data as Json }) }); return out
    case 'system': case 'topic_start': case 'topic_end':
      out.push({ t: 'notice', text: c.text ?? c.title ?? '', ...(c.data !== undefined && { data: c.data as Json }) })
      return out
  }
  if (c.text) out.push({ t: 'text', text: c.text, ...(data['format'] === 'md' && { format: 'md' as const }) })
  if (!out.length) out.push({ t: 'other', kind: c.type, ...(c.data !== undefined && { data: c.data as Json }) })
  return out
}

function card(c: Content): Card {
  const d = obj(c.data)
  const form = obj(d['form'])
  return tidy({
    title: c.title, text: c.text ?? c.digest, image: c.thumb ?? str(d['image']), url: c.url,
    rows: list<{ label: string; value: string }>(d['rows'], r => typeof r['label'] === 'string' && typeof r['value'] === 'string'),
    buttons: list<CardButton>(d['buttons'], b => typeof b['action'] === 'string' && typeof b['label'] === 'string'),
    form: typeof form['action'] === 'string' && Array.isArray(form['fields'])
      ? { ...form, fields: list<CardField>(form['fields'], f => typeof f['name'] === 'string') ?? [] } : undefined,
    done: typeof obj(d['done'])['action'] === 'string' ? d['done'] : undefined, data: c.data as Json,
  }) as Card
}
