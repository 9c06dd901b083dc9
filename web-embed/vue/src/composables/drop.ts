import { ref, type Ref } from 'vue'

/** useDrop takes files that are dropped. It counts what is entered and left: each child says both. */
export function useDrop(take: (files: FileList) => void, may: () => boolean): { over: Ref<boolean>; on: Record<string, (e: DragEvent) => void> } {
  const over = ref(false)
  let depth = 0
  const files = (e: DragEvent) => may() && !!e.dataTransfer?.types.includes('Files')
  return {
    over,
    on: {
      dragenter(e) { if (files(e)) { depth++; over.value = true; e.preventDefault() } },
      dragover(e) { if (files(e)) e.preventDefault() },
      dragleave(e) { if (files(e) && --depth <= 0) { depth = 0; over.value = false } },
      drop(e) {
        depth = 0
        over.value = false
        if (!files(e)) return
        e.preventDefault()
        if (e.dataTransfer!.files.length) take(e.dataTransfer!.files)
      },
    },
  }
}
