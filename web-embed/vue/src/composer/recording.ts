/** What was spoken: peaks are 64 loudnesses from 0 to 255. A recorded file says no length, so it is told. */
export interface Recording { blob: Blob; mime: string; duration: number; peaks: number[] }

/** shrink makes `n` peaks of all levels (0 to 1) heard during a recording. */
export function shrink(levels: readonly number[], n = 64): number[] {
  if (!levels.length) return Array.from({ length: n }, () => 0)
  return Array.from({ length: n }, (_, i) => {
    const from = Math.floor(i * levels.length / n), to = Math.max(from + 1, Math.floor((i + 1) * levels.length / n))
    return Math.round(Math.min(1, Math.max(...levels.slice(from, to))) * 255)
  })
}

/** What the browser can record and the server measures, the best first. */
export const mimes = ['audio/ogg;codecs=opus', 'audio/webm;codecs=opus', 'audio/mp4', 'audio/webm']
