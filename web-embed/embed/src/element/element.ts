import { createApp, defineComponent, h, reactive, shallowReactive, shallowRef, type App, type Component, type VNode } from 'vue'
import { createClient, type Message, type TroupeClient } from '@troupe/client'
import { restOfStyle, TroupeChat } from '@troupe/vue'
import css from '@troupe/vue/first.css?inline'
import { deviceId, identity, ownName, type Identity, type PageToken } from '../shared/tokens'

export { createClient } from '@troupe/client'
export { createAccount } from '@troupe/client/account'

/** What shows messages of one kind: it is called for each, and again when the message has changed. */
export type Renderer = (message: Message) => HTMLElement

/** Attributes say text; all of them are properties too. */
const attributes = ['endpoint', 'app', 'conversation', 'layout', 'theme', 'locale', 'accent', 'density'] as const
/** What text cannot say. */
const properties = ['features', 'composer', 'cards', 'messages', 'readonly'] as const
const slots = ['header', 'empty', 'launcher'] as const

type Props = Partial<Record<(typeof attributes)[number] | (typeof properties)[number], unknown>>

/** Attributes and properties as TypeScript sees them; `features` and the like are those of the Vue component. */
export interface TroupeChatElement {
  endpoint?: string; app?: string; conversation?: string | null; layout?: string; theme?: string; locale?: string; accent?: string; density?: string
  features?: Record<string, boolean>; composer?: Record<string, unknown>; cards?: Record<string, Component>; messages?: Record<string, string>; readonly?: boolean
}

let sheet: CSSStyleSheet | undefined
const own = ':host{display:block;height:100%;min-height:320px}:host([hidden]){display:none}:host([layout=launcher]){display:contents}.tp-root{display:flex;flex-direction:column;height:100%}.tp-root>.tp{flex:1}'
restOfStyle(async () => { const rest = await import('@troupe/vue/rest.css?inline'); sheet?.replaceSync(own + css + rest.default) })
const renderers = shallowReactive(new Map<string, Renderer>())

/** Where this file is from, when a Troupe server served it: then that is where the chat is. */
const served = /\/embed\/v1\/assets\//.test(import.meta.url) ? new URL(import.meta.url).origin : undefined

/**
 * `<troupe-chat>`: the chat in a shadow root, so that neither its styles nor the page's get at the other's. All events
 * of the component come out as `troupe-…`, bubbling and composed; those that can be cancelled there can be here.
 */
export class TroupeChatElement extends HTMLElement {
  static observedAttributes = [...attributes]
  #said = shallowReactive<Props>({}) as Props
  #state = reactive({ slots: [] as string[], footer: false, made: 0 })
  #client = shallowRef<TroupeClient>()
  #own?: TroupeClient
  #who?: Identity
  #app?: App
  #chat = shallowRef<any>()
  #watch?: MutationObserver
  #getToken?: PageToken

  static {
    for (const k of [...attributes, ...properties]) {
      Object.defineProperty(this.prototype, k, {
        get(this: TroupeChatElement) { return this.#said[k] },
        set(this: TroupeChatElement, v: unknown) { this.#said[k] = v },
      })
    }
  }

  constructor() {
    super()
    if (!sheet) {
      sheet = new CSSStyleSheet()
      sheet.replaceSync(own + css)
    }
    this.attachShadow({ mode: 'open' }).adoptedStyleSheets = [sheet]
    // A property that was set before the element was known stands in the way of the one that works.
    for (const k of [...attributes, ...properties, 'client', 'getToken'] as const) {
      if (Object.hasOwn(this, k)) {
        const v = (this as never)[k]
        delete (this as never)[k]
        ;(this as Record<string, unknown>)[k] = v
      }
    }
  }

  /** The client that is shown; give one of your own before the element is in the page, and it is yours to end. */
  get client(): TroupeClient | undefined { return this.#client.value }
  set client(c: TroupeClient | undefined) {
    this.#client.value = c
    this.#state.made++
    if (c && this.isConnected) this.#start()
  }

  /** Gives a token when one is needed: see PageToken. Without one, visitors come in where the application takes them. */
  get getToken(): PageToken | undefined { return this.#getToken }
  set getToken(f: PageToken | undefined) {
    this.#getToken = f
    this.#later()
  }

  attributeChangedCallback(name: string, _: string | null, value: string | null): void {
    this.#said[name as 'app'] = value ?? undefined
    this.#later()
  }

  /** What follows in the same turn may still set properties. */
  #later(): void {
    if (!this.#app) queueMicrotask(() => { if (this.isConnected) this.#start() })
  }

  connectedCallback(): void {
    const look = () => {
      this.#state.slots = slots.filter(s => this.querySelector(`:scope > [slot="${s}"]`))
      this.#state.footer = !!this.querySelector(':scope > [slot="footer"]')
    }
    look()
    this.#watch = new MutationObserver(look)
    this.#watch.observe(this, { childList: true })
    this.#later()
  }

  disconnectedCallback(): void {
    this.#watch?.disconnect()
    // Moved to another place in the page, it goes on.
    setTimeout(() => { if (!this.isConnected) this.#stop() })
  }

  #start(): void {
    if (this.#app) return
    if (!this.#client.value) {
      const app = String(this.#said.app ?? '')
      if (!app && !this.#getToken) return
      const endpoint = (this.#said.endpoint as string | undefined) ?? served
      const device = deviceId()
      const who = (this.#who = identity({ app, device, guests: !this.#getToken, ...(endpoint && { endpoint }), ...(this.#getToken && { page: this.#getToken }) }))
      this.#own = createClient({ app, device: { id: device, kind: 'web' }, getToken: why => who.getToken(why), ...(endpoint && { endpoint }) })
      this.#client.value = this.#own
      this.#own.connect()
      void this.#own.ready().then(() => this.#visit(who), () => {})
    }
    this.#app = createApp(defineComponent({ render: () => this.#render() }))
    this.#app.mount(this.shadowRoot!)
  }

  #stop(): void {
    this.#app?.unmount()
    this.#app = undefined
    if (this.#own) {
      void this.#own.destroy()
      this.#own = this.#client.value = undefined
    }
  }

  /** An anonymous visitor has one conversation: with those who answer for the application. */
  async #visit(who: Identity): Promise<void> {
    if (!who.guest || this.#said.conversation || !this.#own) return
    const had = this.#own.conversations.list().value[0]
    try {
      this.#said.conversation = had?.id ?? (await this.#own.conversations.open({ members: [], muc: true, title: await ownName(this.#own) })).id
    } catch (e) {
      this.#tell('error', e)
    }
  }

  #tell(name: string, detail: unknown, from?: Event): void {
    const e = new CustomEvent('troupe-' + name, { detail, bubbles: true, composed: true, cancelable: !!from })
    if (!this.dispatchEvent(e)) from?.preventDefault()
  }

  #render(): VNode {
    const { endpoint: _, app: __, ...said } = this.#said
    const client = this.#client.value!
    const given: Record<string, (scope: any) => VNode | VNode[]> = {}
    for (const s of this.#state.slots) given[s] = () => h('slot', { name: s })
    for (const [kind, make] of renderers) given['message-' + kind] = ({ message }) => h(Rendered, { message, make })
    const on: Record<string, (d: any) => void> = {}
    for (const k of ['ready', 'connection', 'unread', 'send', 'sent', 'failed', 'message', 'friend-request', 'call', 'upload', 'error', 'open', 'close']) on['on' + camel(k)] = d => this.#tell(k, d)
    for (const k of ['before-send', 'link', 'card-action']) on['on' + camel(k)] = (e: CustomEvent) => this.#tell(k, e.detail, e)
    const props = Object.fromEntries(Object.entries(said).filter(([, v]) => v !== undefined))
    return h('div', { class: 'tp-root' }, [
      h(TroupeChat as Component, {
        // What is in the slots is looked at once, when the chat is made.
        key: this.#state.made + ' ' + Object.keys(given).join(' '), ref: (c: unknown) => { this.#chat.value = c }, client, ...props, ...on,
        'onUpdate:conversation': (id: string | null) => {
          this.#said.conversation = id
          this.#tell('conversation', id)
        },
      }, given),
      this.#state.footer ? h('slot', { name: 'footer' }) : null,
    ])
  }

  open(): void { this.#chat.value?.open() }
  close(): void { this.#chat.value?.close() }
  openConversation(id: string, where?: { at?: number | string }): void { this.#chat.value?.openConversation(id, where) }
  focusComposer(): void { this.#chat.value?.focusComposer() }
  toLatest(): void { this.#chat.value?.toLatest() }
  setDraft(text: string, id?: string): void { this.#chat.value?.setDraft(text, id) }

  /** Ends the login that the element made, and wipes what is kept of it. */
  async logout(): Promise<void> {
    await this.#who?.signOut()
    await this.#own?.destroy({ wipe: true })
    this.#own = undefined
    this.#app?.unmount()
    this.#app = undefined
    this.#client.value = undefined
  }

  /** Shows messages of one kind (`card`, `article`, …) by a function of the page's own. For all elements of the page. */
  static registerRenderer(kind: string, make: Renderer): void { renderers.set(kind, make) }
  registerRenderer(kind: string, make: Renderer): void { renderers.set(kind, make) }
}

/** A message as the page's own function shows it. */
const Rendered = defineComponent({
  props: { message: { type: Object as () => Message, required: true }, make: { type: Function as unknown as () => Renderer, required: true } },
  setup: p => () => h('div', { key: 'own', ref: el => { if (el) (el as Element).replaceChildren(p.make(p.message)) } }),
})

const camel = (s: string): string => s.replace(/(^|-)(\w)/g, (_, __, c: string) => c.toUpperCase())

if (!customElements.get('troupe-chat')) customElements.define('troupe-chat', TroupeChatElement)

declare global {
  interface HTMLElementTagNameMap { 'troupe-chat': TroupeChatElement }
}
