import type { data } from './emoji-en'

/** An emoji and its name. */
export type Emoji = readonly [emoji: string, name: string]
export type GroupKey = keyof typeof data
export interface Group { readonly key: GroupKey; readonly icon: string; readonly emoji: readonly Emoji[] }

const icons: Record<GroupKey, string> = { people: '😀', body: '👋', nature: '🌿', food: '🍜', travel: '✈️', activities: '⚽', objects: '💡', symbols: '❤️', flags: '🏁' }

/** loadEmoji gives all of them with their names in one language, a chunk of its own. */
export async function loadEmoji(locale: string): Promise<readonly Group[]> {
  const { data } = locale.startsWith('zh') ? await import('./emoji-zh') : await import('./emoji-en')
  return (Object.keys(icons) as GroupKey[]).map(key => ({ key, icon: icons[key], emoji: data[key].split('\n').map(line => line.split('\t') as unknown as Emoji) }))
}

