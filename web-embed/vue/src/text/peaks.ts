/** bars makes `n` heights from 0.08 to 1 of a recording's peaks (0 to 255); without any, a calm line. */
export function bars(peaks: readonly number[] | undefined, n = 40): number[] {
  if (!peaks?.length) return Array.from({ length: n }, (_, i) => 0.22 + 0.1 * Math.abs(Math.sin(i * 1.7)))
  const top = Math.max(...peaks, 24)
  return Array.from({ length: n }, (_, i) => {
    const from = Math.floor(i * peaks.length / n), to = Math.max(from + 1, Math.floor((i + 1) * peaks.length / n))
    return Math.max(0.08, Math.min(1, Math.max(...peaks.slice(from, to)) / top))
  })
}
