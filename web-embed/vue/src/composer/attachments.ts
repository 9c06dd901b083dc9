import { onScopeDispose, shallowRef, type ShallowRef } from 'vue'
import type { NewFile } from '@troupe/client'

export interface Attachment { readonly key: string; readonly file: File; readonly kind: 'image' | 'video' | 'voice' | 'file'; readonly url?: string }

const pictures = /^image\/(png|jpeg|gif|webp)$/

/** useAttachments are the files that wait in the composer, with pictures to show of them. */
export function useAttachments(): { list: Readonly<ShallowRef<readonly Attachment[]>>; add(files: Iterable<File>): void; remove(key: string): void; take(): readonly Attachment[] } {
  const list = shallowRef<readonly Attachment[]>([])
  let made = 0
  const drop = (a: Attachment) => { if (a.url) URL.revokeObjectURL(a.url) }
  onScopeDispose(() => list.value.forEach(drop))
  return {
    list,
    add(files) {
      list.value = [...list.value, ...[...files].map((file): Attachment => {
        const kind = pictures.test(file.type) ? 'image' : file.type.startsWith('video/') ? 'video' : file.type.startsWith('audio/') ? 'voice' : 'file'
        return { key: `a${made++}`, file, kind, url: kind === 'image' ? URL.createObjectURL(file) : undefined }
      })]
    },
    remove(key) {
      list.value.filter(a => a.key === key).forEach(drop)
      list.value = list.value.filter(a => a.key !== key)
    },
    take() {
      const all = list.value
      list.value = []
      all.forEach(drop)
      return all
    },
  }
}

/** fileOf is an attachment as it is sent: with its size in pixels, so that nothing moves when it is shown. */
export async function fileOf(a: Attachment): Promise<NewFile> {
  const base: NewFile = { blob: a.file, kind: a.kind, name: a.file.name, mime: a.file.type || 'application/octet-stream', size: a.file.size }
  if (a.kind === 'image' && typeof createImageBitmap === 'function') {
    try {
      const map = await createImageBitmap(a.file)
      const sized = { ...base, width: map.width, height: map.height }
      map.close()
      return sized
    } catch { /* the server looks at it too */ }
  }
  return base
}
