import { computed, reactive, ref, watch } from 'vue'
import { shelf } from '../shared/tokens'

const kept = shelf('troupe.page.')
const read = (k: string): string => (kept.getItem(k) as string | null) ?? ''

/** How this browser wants the page; empty: as it is by itself. */
export const settings = reactive({ theme: read('theme') as '' | 'light' | 'dark', locale: read('locale') as '' | 'en' | 'zh-CN' })
watch(settings, s => {
  for (const k of ['theme', 'locale'] as const) s[k] ? kept.setItem(k, s[k]) : kept.removeItem(k)
})

const query = matchMedia('(prefers-color-scheme: dark)')
const dark = ref(query.matches)
query.addEventListener('change', () => { dark.value = query.matches })

export const theme = computed(() => settings.theme || (dark.value ? 'dark' : 'light'))
export const locale = computed(() => settings.locale || navigator.language)
