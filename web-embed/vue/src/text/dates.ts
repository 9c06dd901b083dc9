const day = 86_400_000

function midnight(at: number): number {
  const d = new Date(at)
  return new Date(d.getFullYear(), d.getMonth(), d.getDate()).getTime()
}

/** daysAgo counts calendar days of this place between then and now. */
export const daysAgo = (at: number, now: number): number => Math.round((midnight(now) - midnight(at)) / day)

const cache = new Map<string, Intl.DateTimeFormat>()
function format(locale: string, o: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = locale + JSON.stringify(o)
  let f = cache.get(key)
  if (!f) cache.set(key, f = new Intl.DateTimeFormat(locale, o))
  return f
}

/** timeOfDay is "14:05", or "2:05 PM" where people say so. */
export const timeOfDay = (at: number, locale: string): string =>
  format(locale, /^zh/i.test(locale) ? { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } : { hour: 'numeric', minute: '2-digit' }).format(at)

/** listTime is what a row of the list shows: the time today, then "yesterday", the weekday, the date. */
export function listTime(at: number, now: number, locale: string): string {
  const ago = daysAgo(at, now)
  if (ago <= 0) return timeOfDay(at, locale)
  if (ago === 1) return new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }).format(-1, 'day')
  if (ago < 7) return format(locale, { weekday: 'short' }).format(at)
  if (new Date(at).getFullYear() === new Date(now).getFullYear()) return format(locale, { month: 'numeric', day: 'numeric' }).format(at)
  return format(locale, { year: '2-digit', month: 'numeric', day: 'numeric' }).format(at)
}

/** dayLabel is what the pill between two days says. */
export function dayLabel(at: number, now: number, locale: string): string {
  const ago = daysAgo(at, now)
  if (ago >= 0 && ago < 2) {
    const s = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }).format(-ago, 'day')
    return s.charAt(0).toLocaleUpperCase(locale) + s.slice(1)
  }
  const sameYear = new Date(at).getFullYear() === new Date(now).getFullYear()
  return format(locale, { weekday: 'long', month: 'long', day: 'numeric', ...(sameYear ? {} : { year: 'numeric' }) }).format(at)
}

/** fullTime is for tooltips and screen readers: date and time. */
export const fullTime = (at: number, locale: string): string => format(locale, { dateStyle: 'medium', timeStyle: 'short' }).format(at)

/** ago is "5 minutes ago", for last seen. */
export function ago(at: number, now: number, locale: string): string {
  const r = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' })
  const s = Math.max(0, (now - at) / 1000)
  if (s < 3600) return r.format(-Math.max(1, Math.round(s / 60)), 'minute')
  if (s < 86_400) return r.format(-Math.round(s / 3600), 'hour')
  return r.format(-Math.max(1, daysAgo(at, now)), 'day')
}
