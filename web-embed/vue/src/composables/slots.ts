import type { Component, InjectionKey } from 'vue'
import type { MenuItem } from '../ui/TpMenu.vue'

/** The host's slots, as components: header, banner, conversation, empty, avatar, message, message-<kind>, day, … */
export type HostSlots = Readonly<Record<string, Component | undefined>>
export const slotsKey: InjectionKey<HostSlots> = Symbol('troupe-slots')

/** What the host adds to the menu at one's own face. */
export const accountKey: InjectionKey<{ items(): readonly MenuItem[]; pick(key: string): void }> = Symbol('troupe-account')
