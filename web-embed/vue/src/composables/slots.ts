import type { Component, InjectionKey } from 'vue'

/** The host's slots, as components: header, banner, conversation, empty, avatar, message, message-<kind>, day, … */
export type HostSlots = Readonly<Record<string, Component | undefined>>
export const slotsKey: InjectionKey<HostSlots> = Symbol('troupe-slots')
