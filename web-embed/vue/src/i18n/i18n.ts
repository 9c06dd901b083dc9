import type { en } from './en'

export type MessageKey = keyof typeof en
/** A text, or one per plural form of `n` (Intl.PluralRules). */
export type Text = string | { one?: string; other: string }
export type Messages = Partial<Record<MessageKey, Text>>
export type Translate = (key: MessageKey, values?: Record<string, string | number>) => string

export type Locale = 'en' | 'zh-CN'
export type Table = Readonly<Record<MessageKey, Text>>

/** resolveLocale answers the one of ours that `wanted` (a BCP 47 tag, or nothing: the browser's) means. */
export function resolveLocale(wanted?: string): Locale {
  const tag = wanted ?? (typeof navigator === 'undefined' ? 'en' : navigator.language)
  return /^zh\b/i.test(tag) ? 'zh-CN' : 'en'
}

/** loadTable gets one language's texts, a chunk of its own. */
export const loadTable = async (locale: Locale): Promise<Table> =>
  locale === 'zh-CN' ? (await import('./zh-CN')).zhCN : (await import('./en')).en

/** translator gives `t(key, values)`: the host's own texts first, then the language's. `{name}` stands for a value. */
export function translator(locale: string, table: Table, own: Messages = {}): Translate {
  const plural = new Intl.PluralRules(locale)
  return (key, values = {}) => {
    const found: Text = own[key] ?? table[key] ?? key
    const n = Number(values.n)
    const text = typeof found === 'string' ? found
      : (plural.select(Number.isFinite(n) ? n : 0) === 'one' ? found.one : undefined) ?? found.other
    return text.replace(/\{(\w+)\}/g, (whole, name: string) => name in values ? String(values[name]) : whole)
  }
}
