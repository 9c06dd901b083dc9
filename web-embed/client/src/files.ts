import type { FileInfo, Files, Id, Uploader, UploadJob } from './api.js'
import type { Core } from './core.js'
import { TroupeError, failure } from './error.js'

const whole = 5 << 20 // bytes up to which a file goes in one request
const early = 30_000 // ms before its end that a link is asked for anew

type Given = Pick<UploadJob, 'name' | 'mime' | 'keep' | 'onProgress' | 'signal'> & { resume?: string | undefined }

/** Files on the server: links to them, what they are, and how they get there. */
export class Store implements Files {
  #links = new Map<string, { url: Promise<string>; until: number }>()

  constructor(readonly core: Core) {}

  async url(id: Id, o: { size?: 'small' | 'large'; download?: boolean } = {}): Promise<string> {
    if (/^(https?:|data:|blob:|\/)/.test(id)) return id
    const key = id + '/' + (o.size ?? '')
    let had = this.#links.get(key)
    if (!had || had.until < this.core.serverNow) {
      const made = { url: Promise.resolve(''), until: Infinity }
      made.url = this.core.rest.call('POST', '/files/' + encodeURIComponent(id) + '/link', o.size ? { size: o.size } : {}).then(f => {
        made.until = Date.parse(f.expiresAt) - early
        return new URL(f.url, this.core.rest.base).href
      })
      made.url.catch(() => this.#links.delete(key))
      this.#links.set(key, had = made)
    }
    const url = await had.url
    return o.download ? url + (url.includes('?') ? '&' : '?') + 'download=true' : url
  }

  info(id: Id): Promise<FileInfo> { return this.core.rest.call('GET', '/files/' + encodeURIComponent(id) + '/info') }

  upload(blob: Blob, o: { name?: string; onProgress?(part: number): void; signal?: AbortSignal } = {}): Promise<FileInfo> {
    return this.file(blob, { name: o.name ?? (blob as File).name ?? '', mime: blob.type, keep() {}, onProgress: o.onProgress ?? (() => {}), signal: o.signal ?? new AbortController().signal })
  }

  file(blob: Blob, o: Given): Promise<FileInfo> {
    const { resume, ...rest } = o
    return (this.core.o.uploader ?? { upload: (j: UploadJob) => this.#send(j) }).upload({
      blob, ...rest, ...(resume && { resume }), rest: this.core.rest.base, token: () => this.core.tokens.get('initial'),
    })
  }

  async #send(first: UploadJob): Promise<FileInfo> {
    let j = first
    const keep = (resume: string): void => { j = { ...j, resume }; first.keep(resume) }
    j = { ...first, keep }
    for (let again = false; ; again = true) {
      try {
        if (j.blob.size > whole) return await (await import('./tus.js')).upload(j, this.core.env.fetch)
        return await this.#form(j, await this.core.tokens.get(again ? 'rejected' : 'initial'))
      } catch (e) {
        const f = failure(e)
        if (again || !['TOKEN_EXPIRED', 'UNAUTHORIZED'].includes(f.code)) throw f
        if (j.blob.size > whole) await this.core.tokens.get('rejected')
      }
    }
  }

  /** One request; by XMLHttpRequest where there is one, as only that tells how far it is. */
  #form(j: UploadJob, token: string): Promise<FileInfo> {
    const body = new FormData()
    body.append('file', j.blob, j.name || 'file')
    const Xhr = this.core.o.fetch ? undefined : (globalThis as { XMLHttpRequest?: typeof XMLHttpRequest }).XMLHttpRequest
    if (!Xhr) {
      return this.core.env.fetch(j.rest + '/files', { method: 'POST', body, signal: j.signal, credentials: 'omit', headers: { Authorization: 'Bearer ' + token } })
        .then(async r => answered(r.status, await r.text(), Number(r.headers.get('Retry-After'))), e => { throw failure(e) })
        .then(f => { j.onProgress(1); return f })
    }
    return new Promise((yes, no) => {
      const x = new Xhr()
      x.open('POST', j.rest + '/files')
      x.setRequestHeader('Authorization', 'Bearer ' + token)
      x.upload.onprogress = e => { if (e.lengthComputable) j.onProgress(e.loaded / e.total) }
      x.onload = () => { try { yes(answered(x.status, x.responseText, Number(x.getResponseHeader('Retry-After')))) } catch (e) { no(e) } }
      x.onerror = () => no(new TroupeError('NETWORK', 'the upload broke'))
      x.onabort = () => no(new TroupeError('CANCELLED'))
      const stop = (): void => x.abort()
      j.signal.addEventListener('abort', stop)
      x.onloadend = () => j.signal.removeEventListener('abort', stop)
      if (j.signal.aborted) return no(new TroupeError('CANCELLED'))
      x.send(body)
    })
  }
}

/** What an upload was answered. */
export function answered(status: number, text: string, retryAfter = 0): FileInfo {
  let data: any
  try { data = JSON.parse(text) } catch { /* a proxy's page */ }
  if (status >= 200 && status < 300 && data?.id) return data
  throw new TroupeError(data?.code ?? (status >= 500 || !status ? 'BUSY' : 'INTERNAL'), data?.detail ?? 'the upload was refused', retryAfter * 1000 || undefined)
}

export type { Uploader }
