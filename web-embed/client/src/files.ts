import type { FileInfo, Files, Id, UploadJob } from './api.js'
import type { Core } from './core.js'
import { failure } from './error.js'

const whole = 5 << 20 // bytes up to which a file goes in one request
const early = 30_000 // ms before its end that a link is asked for anew

type Given = Pick<UploadJob, 'name' | 'mime' | 'keep' | 'onProgress' | 'signal'> & { resume?: string | undefined }

/** Files on the server: links to them, what they are, and how they get there. */
export class Store implements Files {
  #links = new Map<string, { url: Promise<string>; until: number }>()

  constructor(readonly core: Core) {}

  async url(id: Id, o: { size?: 'small' | 'large'; download?: boolean } = {}): Promise<string> {
    if (/^(https?:|data:|blob:|\/)/.test(id)) return this.core.link(id)
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

  async file(blob: Blob, o: Given): Promise<FileInfo> {
    const { resume, ...rest } = o
    let j: UploadJob = { blob, ...rest, ...(resume && { resume }), rest: this.core.rest.base, token: () => this.core.tokens.get('initial') }
    if (this.core.o.uploader) return this.core.o.uploader.upload(j)
    const first = j
    j = { ...first, keep: resume => { j = { ...j, resume }; first.keep(resume) } }
    const { sender, inOne, inParts } = await import('./upload.js')
    const send = sender(this.core.env.fetch, !this.core.o.fetch)
    for (let again = false; ; again = true) {
      try {
        return await (blob.size > whole ? inParts(j, send, this.core.env.clock) : inOne(j, send))
      } catch (e) {
        const f = failure(e, 'INTERNAL')
        if (again || !['TOKEN_EXPIRED', 'UNAUTHORIZED'].includes(f.code)) throw f
        await this.core.tokens.get('rejected')
      }
    }
  }
}

