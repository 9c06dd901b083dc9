const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~'

function number(s: string): number {
  let n = 0
  for (const c of s) {
    const d = digits.indexOf(c)
    if (d < 0) return NaN
    n = n * 83 + d
  }
  return n
}
const linear = (v: number) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 }
const srgb = (v: number) => { v = Math.max(0, Math.min(1, v)); return Math.round(255 * (v <= 0.0031308 ? v * 12.92 : 1.055 * v ** (1 / 2.4) - 0.055)) }
const signedSquare = (v: number) => Math.sign(v) * v * v

/** decodeBlurhash draws a placeholder (https://blurha.sh) as RGBA; nothing for what is none. */
export function decodeBlurhash(hash: string, width: number, height: number): Uint8ClampedArray<ArrayBuffer> | undefined {
  if (hash.length < 6) return undefined
  const head = number(hash[0]!)
  const nx = (head % 9) + 1, ny = Math.floor(head / 9) + 1
  if (hash.length !== 4 + 2 * nx * ny || Number.isNaN(number(hash))) return undefined
  const most = (number(hash[1]!) + 1) / 166
  const colours = Array.from({ length: nx * ny }, (_, i): [number, number, number] => {
    if (i === 0) {
      const v = number(hash.slice(2, 6))
      return [linear(v >> 16), linear((v >> 8) & 255), linear(v & 255)]
    }
    const v = number(hash.slice(4 + i * 2, 6 + i * 2))
    return [signedSquare((Math.floor(v / 361) - 9) / 9) * most, signedSquare((Math.floor(v / 19) % 19 - 9) / 9) * most, signedSquare((v % 19 - 9) / 9) * most]
  })
  const out = new Uint8ClampedArray(width * height * 4)
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    let r = 0, g = 0, b = 0
    for (let j = 0; j < ny; j++) for (let i = 0; i < nx; i++) {
      const basis = Math.cos((Math.PI * x * i) / width) * Math.cos((Math.PI * y * j) / height)
      const c = colours[j * nx + i]!
      r += c[0] * basis; g += c[1] * basis; b += c[2] * basis
    }
    const at = (y * width + x) * 4
    out[at] = srgb(r); out[at + 1] = srgb(g); out[at + 2] = srgb(b); out[at + 3] = 255
  }
  return out
}
