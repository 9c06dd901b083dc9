import type { Clock, FileInfo, Id, NewFile, UploadJob } from './api.js'
import type { Core } from './core.js'
import type { Given } from './files.js'
import { TroupeError, failure } from './error.js'

const whole = 5 << 20 // bytes up to which a file goes in one request
const chunk = 4 << 20 // bytes of one part
const tries = 5 // of one part, from 500 ms on

interface Answer {
  status: number
  text: string
  header(name: string): string | null
}
interface Asked {
  headers: Record<string, string>
  body?: Blob | FormData
  signal: AbortSignal
  /** From 0 to 1, where it can be told. */
  onProgress?(part: number): void
}
export type Send = (method: string, url: string, o: Asked) => Promise<Answer>

/** How requests are made: by XMLHttpRequest where there is one and it may be used, as only that tells how far it is; else by fetch. */
export function sender(fetch: typeof globalThis.fetch, mayXhr: boolean): Send {
  const Xhr = mayXhr ? (globalThis as { XMLHttpRequest?: typeof XMLHttpRequest }).XMLHttpRequest : undefined
  if (!Xhr) {
    return async (method, url, { headers, body, signal, onProgress }) => {
      try {
        const r = await fetch(url, { method, headers, signal, credentials: 'omit', ...(body && { body }) })
        const text = await r.text()
        onProgress?.(1)
        return { status: r.status, text, header: n => r.headers.get(n) }
      } catch (e) { throw failure(e) }
    }
  }
  return (method, url, { headers, body, signal, onProgress }) => new Promise((yes, no) => {
    const x = new Xhr()
    x.open(method, url)
    for (const [k, v] of Object.entries(headers)) x.setRequestHeader(k, v)
    if (onProgress) x.upload.onprogress = e => { if (e.lengthComputable) onProgress(e.loaded / e.total) }
    x.onload = () => yes({ status: x.status, text: x.responseText, header: n => x.getResponseHeader(n) })
    x.onerror = () => no(new TroupeError('NETWORK', 'the upload broke'))
    x.onabort = () => no(new TroupeError('CANCELLED'))
    const stop = (): void => x.abort()
    signal.addEventListener('abort', stop)
    x.onloadend = () => signal.removeEventListener('abort', stop)
    if (signal.aborted) return no(new TroupeError('CANCELLED'))
    x.send(body)
  })
}

function refused(a: Answer): TroupeError {
  let told: any
  try { told = JSON.parse(a.text) } catch { /* a proxy's page */ }
  return new TroupeError(told?.code ?? (a.status >= 500 || !a.status ? 'BUSY' : 'INTERNAL'), told?.detail ?? 'the upload was refused',
    told?.retryAfterMs ?? ((Number(a.header('Retry-After')) || 0) * 1000 || undefined))
}

const good = (a: Answer): boolean => a.status >= 200 && a.status < 300

/** Uploads in one request. */
export async function inOne(j: UploadJob, send: Send): Promise<FileInfo> {
  const body = new FormData()
  body.append('file', j.blob, j.name || 'file')
  const a = await send('POST', j.rest + '/files', { headers: { Authorization: 'Bearer ' + (await j.token()) }, body, signal: j.signal, onProgress: j.onProgress })
  if (!good(a)) throw refused(a)
  return JSON.parse(a.text)
}

/** Uploads in parts (tus 1.0), going on from where an earlier try broke. */
export async function inParts(j: UploadJob, send: Send, clock: Clock): Promise<FileInfo> {
  const size = j.blob.size
  const ask = async (method: string, url: string, headers: Record<string, string> = {}, body?: Blob, onProgress?: (part: number) => void): Promise<Answer> =>
    send(method, url, { headers: { Authorization: 'Bearer ' + (await j.token()), 'Tus-Resumable': '1.0.0', ...headers }, signal: j.signal, ...(body && { body }), ...(onProgress && { onProgress }) })
  const told = async (url: string): Promise<FileInfo> => {
    const a = await send('GET', j.rest + '/files/' + url.split('/').pop() + '/info', { headers: { Authorization: 'Bearer ' + (await j.token()) }, signal: j.signal })
    if (!good(a)) throw refused(a)
    return JSON.parse(a.text)
  }
  /** How much the server has; -1: it does not know of it. */
  const have = async (url: string): Promise<number> => {
    const a = await ask('HEAD', url)
    if (good(a)) return Number(a.header('Upload-Offset')) || 0
    if (a.status === 404 || a.status === 410) return -1
    throw refused(a)
  }

  let url = j.resume ?? '', at = 0
  if (url && (at = await have(url)) < 0) {
    const done = await told(url).catch(() => null) // the answer to the last part was lost
    if (done) return done
    url = ''
  }
  if (!url) {
    at = 0
    const name = btoa(String.fromCharCode(...new TextEncoder().encode(j.name || 'file')))
    const a = await ask('POST', j.rest + '/files/tus/', { 'Upload-Length': String(size), 'Upload-Metadata': 'filename ' + name })
    if (!good(a)) throw refused(a)
    j.keep((url = new URL(a.header('Location') ?? '', j.rest + '/files/tus/').href))
  }
  for (let trouble = 0; at < size;) {
    try {
      const part = j.blob.slice(at, at + chunk), from = at
      const a = await ask('PATCH', url, { 'Upload-Offset': String(at), 'Content-Type': 'application/offset+octet-stream' }, part, p => j.onProgress((from + p * part.size) / size))
      if (!good(a)) throw [409, 423, 460].includes(a.status) ? new TroupeError('BUSY', 'the part was not taken') : refused(a)
      at = Number(a.header('Upload-Offset') ?? at + part.size)
      trouble = 0
    } catch (e) {
      const f = failure(e, 'INTERNAL')
      if (!f.retryable || f.code === 'INTERNAL' || ++trouble >= tries) throw f
      await new Promise<void>(r => { clock.setTimeout(r, f.retryAfterMs ?? 500 * 2 ** (trouble - 1)) })
      const now = await have(url).catch(() => at) // some of it may have come
      if (now < 0) return told(url)
      at = now
    }
    j.onProgress(at / size)
  }
  return told(url)
}

/** Brings a file to the server. */
export async function upload(core: Core, blob: Blob, o: Given): Promise<FileInfo> {
  const { resume, ...rest } = o
  let j: UploadJob = { blob, ...rest, ...(resume && { resume }), rest: core.rest.base, token: () => core.tokens.get('initial') }
  if (core.o.uploader) return core.o.uploader.upload(j)
  const first = j
  j = { ...first, keep: resume => { j = { ...j, resume }; first.keep(resume) } }
  const send = sender(core.env.fetch, !core.o.fetch)
  for (let again = false; ; again = true) {
    try {
      return await (blob.size > whole ? inParts(j, send, core.env.clock) : inOne(j, send))
    } catch (e) {
      const f = failure(e, 'INTERNAL')
      if (again || !['TOKEN_EXPIRED', 'UNAUTHORIZED'].includes(f.code)) throw f
      await core.tokens.get('rejected')
    }
  }
}

/** Gives the room back that uploads in parts have; one that is complete is removed. */
export async function drop(core: Core, urls: readonly (string | undefined)[]): Promise<void> {
  const send = sender(core.env.fetch, !core.o.fetch), { signal } = new AbortController()
  for (const url of urls) {
    if (!url) continue
    const a = await send('DELETE', url, { headers: { Authorization: 'Bearer ' + (await core.tokens.get('initial')), 'Tus-Resumable': '1.0.0' }, signal })
    if (a.status === 409) await core.rest.call('DELETE', '/files/' + url.split('/').pop())
  }
}

/** Uploads the files of a message, and gives what is to be said of them. */
export async function uploadAll(core: Core, files: readonly NewFile[], o: { uploads?: readonly (string | undefined)[] | undefined; signal: AbortSignal; keep(i: number, resume: string): void; onProgress(part: number): void }): Promise<any[]> {
  const total = files.reduce((n, f) => n + (f.blob?.size ?? 0), 0) || 1, metas = []
  let before = 0
  for (const [i, { blob, ...said }] of files.entries()) {
    const size = blob?.size ?? 0
    const got = said.id || !blob ? { id: said.id as Id } : await upload(core, blob, {
      name: said.name ?? (blob as File).name ?? '', mime: said.mime ?? blob.type, resume: o.uploads?.[i], signal: o.signal,
      keep: resume => o.keep(i, resume), onProgress: part => o.onProgress(Math.min(1, (before + part * size) / total)),
    })
    before += size
    const { kind: _, thumbs: __, sha256: ___, createdAt: ____, frames: _____, ...told } = got as Record<string, unknown>
    metas.push({ ...said, ...told })
  }
  return metas
}
