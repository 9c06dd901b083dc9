import { onScopeDispose, provide, ref, shallowRef, type Component, type ComputedRef, type Ref, type ShallowRef } from 'vue'
import type { ConversationView, Id, Member, Seq, TroupeClient, TroupeError } from '@troupe/client'
import type { MessageKey, Translate } from '../i18n/i18n'
import { clean } from '../text/plain'
import { chatKey, useFileUrl, type Chat, type ComposerOptions, type Dialog, type Features, type Layout, type Panel, type Said, type Toast, type Told } from './chat'
import { useLive } from './live'
import { usePeople } from './people'

const spoken = 10_000 // ms that what was said stays there to be read

export interface RootState {
  readonly chat: Chat
  readonly at: Ref<{ at?: Seq | Id } | undefined>
}

/** useRoot makes what all parts of a chat share, for the component that holds them all. */
export function useRoot(o: {
  client: TroupeClient; t: ComputedRef<Translate>; locale: ComputedRef<string>; features: ComputedRef<Features>; composer: ComputedRef<ComposerOptions>
  cards: ComputedRef<Readonly<Record<string, Component>>>; readonly: ComputedRef<boolean>; linkTarget: ComputedRef<string>
  layout: ComputedRef<Layout>; current: Ref<Id | null>; tell: Told; clock?: () => number
}): RootState {
  const { client } = o
  const read = o.clock ?? (() => client.serverNow)
  const now = ref(read())
  const tick = setInterval(() => { now.value = read() }, 30_000)
  onScopeDispose(() => clearInterval(tick))

  const said = shallowRef<readonly Said[]>([]), toasts = shallowRef<readonly Toast[]>([])
  const at = shallowRef<{ at?: Seq | Id }>()
  const panel = ref<Panel>(null), dialog = shallowRef<Dialog | null>(null)
  const people = usePeople(client)
  let key = 0
  const t: Translate = (k, v) => o.t.value(k, v)

  const explain = (error: unknown): string => {
    const code = (error as TroupeError | null)?.code
    const known = code ? t(`error.${code}` as MessageKey) : ''
    return known && known !== `error.${code}` ? known : t('error.other')
  }
  const toast = (text: string, kind: Toast['kind'] = 'plain') => {
    const mine = { key: key++, text, kind }
    toasts.value = [...toasts.value.slice(-2), mine]
    announce(text)
    setTimeout(() => { toasts.value = toasts.value.filter(x => x !== mine) }, kind === 'bad' ? 6000 : 3000)
  }
  // Each is a line of its own: of two at once both are read, in order, and the same words again are read again.
  const announce = (text: string) => {
    said.value = [...said.value, { key: key++, text }]
    clearTimeout(silence)
    silence = setTimeout(() => { said.value = [] }, spoken)
  }
  let silence: ReturnType<typeof setTimeout> | undefined
  onScopeDispose(() => clearTimeout(silence))

  // A group without a name is called by who is in it.
  const unnamed = new Map<Id, ShallowRef<readonly Member[]>>()
  const membersOf = (id: Id): string => {
    let list = unnamed.get(id)
    if (!list) {
      const made = shallowRef<readonly Member[]>([])
      unnamed.set(id, list = made)
      stops.push(client.conversations.get(id).members.list().subscribe(m => { made.value = m }))
    }
    const names = list.value.filter(m => m.user.id !== client.me?.id).map(m => people(m.user.id).name)
    return names.slice(0, 3).join(t('comma')) + (names.length > 3 ? '…' : '')
  }
  const stops: (() => void)[] = []
  onScopeDispose(() => stops.forEach(stop => stop()))

  const chat: Chat = {
    client, t, now, panel, dialog, explain, toast, announce, toasts, said,
    locale: o.locale, features: o.features, composer: o.composer, cards: o.cards, readonly: o.readonly, linkTarget: o.linkTarget, layout: o.layout, current: o.current, tell: o.tell,
    self: useLive(client.self),
    open(id, where) {
      at.value = where
      panel.value = null
      o.current.value = id
    },
    back() {
      panel.value = null
      o.current.value = null
    },
    person: people,
    nameOf(view: ConversationView) {
      const title = clean(view.title)
      if (title) return title
      if (view.kind === 'system') return t('system.title')
      if (view.peer) return people(view.peer.id).name || t('person.gone')
      return membersOf(view.id) || t('group.unnamed')
    },
    faceUrl: (picture, _id) => useFileUrl(client, () => picture() ? { id: picture(), size: 'small' } : undefined),
    fail(error) {
      o.tell.error(error as TroupeError)
      toast(explain(error), 'bad')
    },
  }
  provide(chatKey, chat)
  return { chat, at }
}
