import { computed, inject, ref, shallowRef, type InjectionKey, type Ref, type ShallowRef, type ComputedRef } from 'vue'
import type { Conversation, ConversationView, Id, Message, Seq } from '@troupe/client'
import type { MenuItem } from '../ui/TpMenu.vue'
import { useChat, type Shot } from './chat'
import { useLiveOf } from './live'

/** What the parts of one open conversation share: what is replied to, edited, selected; what may be done to a message. */
export interface Talk {
  readonly conversation: Conversation
  readonly view: Readonly<ShallowRef<ConversationView | null>>
  readonly isGroup: ComputedRef<boolean>
  readonly mayWrite: ComputedRef<boolean>
  readonly mayReact: ComputedRef<boolean>
  /** Decides on what moderation holds back. */
  readonly mayJudge: ComputedRef<boolean>
  readonly replyTo: ShallowRef<Message | null>
  readonly editing: ShallowRef<Message | null>
  /** Ids of what is selected; null: nothing can be selected now. */
  readonly selected: Ref<ReadonlySet<Id> | null>
  readonly flash: Ref<string | null>
  /** The reply of a bot that is being written now. */
  readonly streaming: Ref<Id | null>
  toggle(id: Id): void
  actions(m: Message): MenuItem[]
  act(m: Message, action: string): void
  react(m: Message, emoji: string): void
  /** Filled by the timeline, the composer: what each can do for the others. */
  jump: (at: Seq | Id) => void
  toEnd: () => void
  rewrite: (text: string) => void
  focus: () => void
  gallery: () => readonly Shot[]
  /** Messages that are loaded here, the oldest first. */
  loaded: () => readonly Message[]
  lastOwn: () => Message | null
  close(): void
}

export const talkKey: InjectionKey<Talk> = Symbol('troupe-talk')
export function useTalk(): Talk {
  const talk = inject(talkKey)
  if (!talk) throw new Error('@troupe/vue: this component stands inside a conversation only')
  return talk
}

export const textOf = (m: Message): string => m.parts.map(p => p.t === 'text' ? p.text : p.t === 'notice' ? p.text : '').filter(Boolean).join('\n')

export function makeTalk(id: Id): Talk {
  const chat = useChat()
  const { client, t, features } = chat
  const conversation = client.conversations.get(id)
  const view = useLiveOf(() => conversation.view, null as ConversationView | null)
  const selected = ref<ReadonlySet<Id> | null>(null)
  const mayWrite = computed(() => !chat.readonly.value && !!view.value?.canWrite)
  const isAdmin = computed(() => view.value?.role === 'owner' || view.value?.role === 'admin')

  const talk: Talk = {
    conversation, view, selected, mayWrite,
    isGroup: computed(() => view.value?.kind === 'group' || view.value?.kind === 'muc'),
    mayReact: computed(() => !chat.readonly.value && features.value.reactions && !!view.value && !view.value.gone
      && (view.value.canWrite || view.value.whyNot === 'read-only')),
    mayJudge: computed(() => !chat.readonly.value && isAdmin.value && talk.isGroup.value && !view.value?.gone),
    replyTo: shallowRef(null), editing: shallowRef(null), flash: ref(null), streaming: ref(null),
    toggle(of) {
      const next = new Set(selected.value ?? [])
      if (!next.delete(of)) next.add(of)
      selected.value = next
    },
    actions(m) {
      const f = features.value, there = m.seq !== null
      const items: (MenuItem | false)[] = [
        (m.status === 'failed') && { key: 'retry', label: t('action.retry'), icon: 'refresh' },
        there && mayWrite.value && { key: 'reply', label: t('action.reply'), icon: 'reply' },
        !!textOf(m) && { key: 'copy', label: t('action.copy'), icon: 'copy' },
        there && m.own && f.edit && mayWrite.value && m.kind === 'text' && { key: 'edit', label: t('action.edit'), icon: 'edit' },
        there && f.forward && m.kind !== 'call' && !m.stream?.state.match(/thinking|streaming/) && { key: 'forward', label: t('action.forward'), icon: 'share' },
        there && m.own && f.receipts && talk.isGroup.value && m.receipts.total > 0 && { key: 'readers', label: t('action.readers'), icon: 'checks', hint: `${m.receipts.read}/${m.receipts.total}` },
        there && { key: 'select', label: t('action.select'), icon: 'select' },
        there && f.revoke && !chat.readonly.value && (m.own || isAdmin.value) && { key: 'revoke', label: t('action.revoke'), icon: 'undo', danger: true },
        !there && m.own && { key: 'discard', label: t('action.delete'), icon: 'trash', danger: true },
      ]
      return items.filter(i => i !== false)
    },
    act(m, action) {
      if (action === 'reply') { talk.editing.value = null; talk.replyTo.value = m; talk.focus() }
      else if (action === 'edit') { talk.replyTo.value = null; talk.editing.value = m; talk.focus() }
      else if (action === 'copy') void copy(textOf(m))
      else if (action === 'forward') chat.dialog.value = { t: 'forward', conversation: id, ids: [m.id] }
      else if (action === 'select') selected.value = new Set([m.id])
      else if (action === 'readers') chat.dialog.value = { t: 'readers', conversation: id, message: m.id }
      else if (action === 'revoke') chat.dialog.value = {
        t: 'confirm', title: t('revoke.title'), text: t('revoke.text'), yes: t('action.revoke'), danger: true,
        done: () => conversation.revoke(m.id).catch(chat.fail),
      }
      else if (action === 'retry') again(m)?.retry()
      else if (action === 'discard') again(m)?.cancel()
    },
    react(m, emoji) {
      const mine = m.reactions.some(r => r.emoji === emoji && r.mine)
      conversation.react(m.id, emoji, !mine).catch(chat.fail)
    },
    jump: () => {}, toEnd: () => {}, rewrite: () => {}, focus: () => {}, gallery: () => [], loaded: () => [], lastOwn: () => null,
    close() { chat.back() },
  }
  return talk

  function again(m: Message) { return conversation.outgoing(m.clientId) }
  async function copy(text: string) {
    try {
      await navigator.clipboard.writeText(text)
      chat.toast(t('copied'), 'good')
    } catch {
      chat.toast(t('copy.failed'), 'bad')
    }
  }
}
