import { computed, inject, onScopeDispose, shallowRef, watch, type Component, type ComputedRef, type InjectionKey, type Ref, type ShallowRef } from 'vue'
import type { ConversationView, Id, Message, Presence, Seq, TroupeClient, TroupeError, User } from '@troupe/client'
import type { Translate } from '../i18n/i18n'
import { useLiveOf } from './live'

export interface Features {
  files: boolean; voice: boolean; emoji: boolean; reactions: boolean; edit: boolean; revoke: boolean; calls: boolean
  search: boolean; contacts: boolean; typing: boolean; receipts: boolean; forward: boolean; groups: boolean; markdown: boolean; previews: boolean
}
export const allFeatures: Features = {
  files: true, voice: true, emoji: true, reactions: true, edit: true, revoke: true, calls: false,
  search: true, contacts: true, typing: true, receipts: true, forward: true, groups: true, markdown: true, previews: true,
}

export interface ComposerOptions {
  placeholder?: string
  /** Characters; 4000 unless said. */
  maxLength?: number
  /** What Enter does; the other one is on Shift+Enter. On touch screens Enter is always a new line. */
  enter?: 'send' | 'newline'
  /** As `accept` of a file input. */
  accept?: string
  /** Of one file; the server has its own limits. */
  maxBytes?: number
  /** At once; 9 unless said. */
  maxFiles?: number
}

export type Layout = 'split' | 'single' | 'launcher'
export type Panel = 'search' | 'info' | null

/** What the host is told; those that can be cancelled answer false when it said no. */
export interface Told {
  beforeSend(message: { conversation: Id; text: string; files: readonly File[] }): boolean
  link(href: string, event: Event): boolean
  send(clientId: string, conversation: Id): void
  sent(message: Message): void
  failed(message: Message): void
  cardAction(of: { message: Message; action: string; values?: Readonly<Record<string, unknown>> }): boolean
  upload(of: { conversation: Id; name: string; size: number }): void
  error(error: TroupeError): void
}

/** Everything the parts of one chat share. */
export interface Chat {
  readonly client: TroupeClient
  readonly t: Translate
  readonly locale: ComputedRef<string>
  /** The server's time, looked at anew each half minute. */
  readonly now: Readonly<Ref<number>>
  readonly features: ComputedRef<Features>
  readonly composer: ComputedRef<ComposerOptions>
  readonly cards: ComputedRef<Readonly<Record<string, Component>>>
  readonly readonly: ComputedRef<boolean>
  readonly linkTarget: ComputedRef<string>
  readonly layout: ComputedRef<Layout>
  readonly self: Readonly<ShallowRef<User | null>>
  /** The open conversation. */
  readonly current: Readonly<Ref<Id | null>>
  readonly panel: Ref<Panel>
  readonly dialog: ShallowRef<Dialog | null>
  open(id: Id, at?: { at?: Seq | Id }): void
  back(): void
  /** A profile, now and as it changes: reading it in a template or a computed is enough. */
  person(id: Id): User
  nameOf(view: ConversationView): string
  faceUrl(picture: () => string | undefined, id: () => string): Readonly<Ref<string | undefined>>
  /** What is shown for some seconds over whatever is open. */
  readonly toasts: Readonly<Ref<readonly Toast[]>>
  /** What a screen reader is told, the newest last. */
  readonly said: Readonly<Ref<readonly Said[]>>
  announce(text: string): void
  toast(text: string, kind?: 'plain' | 'bad' | 'good'): void
  /** Says what went wrong, in words for people. */
  fail(error: unknown): void
  explain(error: unknown): string
  readonly tell: Told
}

export interface Said { readonly key: number; readonly text: string }
export interface Toast extends Said { readonly kind: 'plain' | 'bad' | 'good' }

/** What stands over the chat. */
export type Dialog =
  | { t: 'profile'; user: Id }
  | { t: 'forward'; conversation: Id; ids: readonly Id[] }
  | { t: 'readers'; conversation: Id; message: Id }
  | { t: 'new-chat' }
  | { t: 'new-group'; members?: readonly Id[] }
  | { t: 'add-friend' }
  | { t: 'invite'; conversation: Id }
  | { t: 'links'; conversation: Id }
  | { t: 'held'; conversation: Id }
  | { t: 'announcement'; conversation: Id; text: string; mayEdit: boolean }
  | { t: 'confirm'; title: string; text?: string; yes: string; danger?: boolean; done: () => void | Promise<void> }
  | { t: 'prompt'; title: string; label: string; value: string; max: number; multiline?: boolean; yes: string; done: (value: string) => void | Promise<void> }
  | { t: 'shots'; conversation: Id; shots: readonly Shot[]; at: number }
  | { t: 'forwarded'; title: string; items: readonly import('@troupe/client').Forwarded[] }
/** One picture of the lightbox. */
export interface Shot { key: string; id?: Id; blob?: Blob; name: string; thumb?: string; width?: number; height?: number; video?: boolean }

export const chatKey: InjectionKey<Chat> = Symbol('troupe')

export function useChat(): Chat {
  const chat = inject(chatKey)
  if (!chat) throw new Error('@troupe/vue: this component stands inside <TroupeChat> only')
  return chat
}

export function usePresence(user: () => Id | undefined | null): Readonly<ShallowRef<Presence | null>> {
  const { client } = useChat()
  return useLiveOf(() => { const id = user(); return id ? client.presence.of(id) : null }, null as Presence | null)
}

/** useFileUrl gives a link for `<img>` and the like; undefined until it is known. A blob is shown as it is. */
export function useFileUrl(client: TroupeClient, source: () => { id?: Id; blob?: Blob; size?: 'small' | 'large' } | undefined): Readonly<Ref<string | undefined>> {
  const url = shallowRef<string>()
  let own: string | undefined
  let turn = 0
  const drop = () => { if (own) URL.revokeObjectURL(own); own = undefined }
  watch(() => { const s = source(); return [s?.id, s?.blob, s?.size] as const }, async ([id, blob, size], before) => {
    const mine = ++turn
    if (blob && blob === before?.[1]) return
    // The picture that was sent from here stays on the screen until the server's is there.
    if (blob) {
      drop()
      url.value = own = URL.createObjectURL(blob)
    } else if (id) {
      try {
        const link = await client.files.url(id, size ? { size } : undefined)
        if (mine === turn) { url.value = link; drop() }
      } catch {
        if (mine === turn) url.value = undefined
      }
    } else { url.value = undefined; drop() }
  }, { immediate: true })
  onScopeDispose(() => { turn++; drop() })
  return computed(() => url.value)
}
