import { Upload, type DetailedError } from 'tus-js-client'
import type { FileInfo, UploadJob } from './api.js'
import { call } from './rest.js'
import { TroupeError, failure } from './error.js'

const chunk = 4 << 20 // bytes of one request

/** Uploads in parts, going on from where an earlier try broke. */
export async function upload(j: UploadJob, fetch: typeof globalThis.fetch): Promise<FileInfo> {
  const id = await new Promise<string>((yes, no) => {
    let at = j.resume ?? ''
    const u = new Upload(j.blob, {
      endpoint: j.rest + '/files/tus/', chunkSize: chunk, metadata: { filename: j.name || 'file' }, storeFingerprintForResuming: false,
      ...(at && { uploadUrl: at }), retryDelays: [0, 1000, 3000],
      onBeforeRequest: async req => { req.setHeader('Authorization', 'Bearer ' + (await j.token())) },
      onUploadUrlAvailable: () => { if (u.url && u.url !== at) j.keep((at = u.url)) },
      onProgress: (sent, total) => j.onProgress(total ? sent / total : 0),
      onShouldRetry: e => { const s = (e as DetailedError).originalResponse?.getStatus() ?? 0; return s === 0 || s === 409 || s === 423 || s >= 500 && s !== 507 },
      onSuccess: () => yes((u.url ?? at).split('/').pop()!),
      onError: e => no(refused(e)),
    })
    j.signal.addEventListener('abort', () => { void u.abort(true).catch(() => {}); no(new TroupeError('CANCELLED')) })
    u.start()
  })
  return call({ fetch }, j.rest + '/files/' + encodeURIComponent(id) + '/info', { token: await j.token(), signal: j.signal })
}

function refused(e: Error): TroupeError {
  const r = (e as DetailedError).originalResponse
  if (!r) return failure(e)
  let told: any
  try { told = JSON.parse(r.getBody()) } catch { /* a proxy's page */ }
  return new TroupeError(told?.code ?? (r.getStatus() >= 500 ? 'BUSY' : 'INTERNAL'), told?.detail ?? e.message, told?.retryAfterMs)
}
