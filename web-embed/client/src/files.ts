import type { FileInfo, Files, Id, UploadJob } from './api.js'
import type { Core } from './core.js'

const early = 30_000 // ms before its end that a link is asked for anew

export type Given = Pick<UploadJob, 'name' | 'mime' | 'keep' | 'onProgress' | 'signal'> & { resume?: string | undefined }

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

  async upload(blob: Blob, o: { name?: string; onProgress?(part: number): void; signal?: AbortSignal } = {}): Promise<FileInfo> {
    const kept: string[] = [], signal = o.signal ?? new AbortController().signal
    try {
      return await this.file(blob, { name: o.name ?? (blob as File).name ?? '', mime: blob.type, keep: url => { kept.push(url) }, onProgress: o.onProgress ?? (() => {}), signal })
    } catch (e) {
      if (signal.aborted) this.drop(kept)
      throw e
    }
  }

  /** What was begun in parts and is not wanted any more; what the server does not hear of it ends by itself. */
  drop(urls: readonly (string | undefined)[]): void { if (!this.core.o.uploader) void import('./upload.js').then(u => u.drop(this.core, urls)).catch(() => {}) }

  file(blob: Blob, o: Given): Promise<FileInfo> { return import('./upload.js').then(u => u.upload(this.core, blob, o)) }
}
