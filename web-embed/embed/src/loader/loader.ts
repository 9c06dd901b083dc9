import { fits, fromFrame, HELLO, INIT, talk, V, type FrameOptions, type Said } from './wire'
import { launcher, type Launcher } from './launcher'

type Reason = 'initial' | 'expiring' | 'rejected'
export interface Options extends FrameOptions {
  app?: string
  /** Where the chat stands in the page; without one it opens from a button. */
  target?: string | Element
  label?: string
  getToken?(why: { reason: Reason }): string | null | undefined | Promise<string | null | undefined>
}
type Listener = (detail: Said & { preventDefault(): void }) => void
type Command = [string, ...unknown[]]

const w = window as unknown as { Troupe?: ((...c: Command) => unknown) & { q?: ArrayLike<unknown>[]; v?: number } }
const d = document
const script = (d.currentScript ?? d.querySelector('script[src*="/embed/v1/troupe.js"]')) as HTMLScriptElement
const base = new URL('.', script.src)

let options: Options = {}
let frame: HTMLIFrameElement | undefined
let box: HTMLElement | undefined // that the frame is in
let ui: Launcher | undefined
let say: ((m: Said) => void) | undefined
let shown = false
let unread = 0
let loggedOut: (() => void) | undefined
const listeners: Record<string, Set<Listener>> = {}

/** emit tells the page's own listeners; false: one of them does it itself. */
function emit(t: string, detail?: Record<string, unknown>): boolean {
  let go = true
  for (const f of listeners[t] ?? []) {
    try {
      f({ ...detail, t, preventDefault: () => { go = false } })
    } catch (e) {
      reportError(e) // the page's own fault
    }
  }
  return go
}

function fail(code: string, text: string) {
  console.warn('Troupe: ' + text)
  emit('error', { code, text })
}

/** What the frame may know of the options: what is data. */
function forFrame(): FrameOptions {
  const { app, target, getToken, ...rest } = options
  return JSON.parse(JSON.stringify({ layout: ui && 'launcher', ...rest, tokens: !!getToken, open: shown }))
}

/** tell speaks to the frame where it listens; what it misses before is in the options that it is given first. */
function tell(t: string, more?: object) {
  say?.({ ...more, t })
}

function draw() {
  ui?.draw(options, shown, unread)
}

/** load makes the frame, which says hello when it is there. */
function load() {
  if (frame || !box) return
  if (!options.app) return fail('INVALID', 'no data-app')
  const it = frame = d.createElement('iframe')
  it.title = options.label ?? 'Chat'
  // Without allow-popups-to-escape-sandbox a link that somebody opens would be a crippled page.
  it.setAttribute('sandbox', 'allow-scripts allow-same-origin allow-forms allow-popups allow-popups-to-escape-sandbox allow-downloads')
  it.allow = (options.features?.voice === false ? '' : 'microphone;') + (options.features?.calls ? 'camera;' : '') + 'autoplay;clipboard-write;fullscreen'
  it.referrerPolicy = 'no-referrer'
  it.style.cssText = 'border:0;width:100%;height:100%;display:block'
  it.src = base + 'frame?app=' + encodeURIComponent(options.app)
  setTimeout(() => {
    if (frame === it && !say) fail('FRAME', `no answer: is ${location.origin} among the app's origins?`)
  }, 15000)
  box.append(it)
}

/** unload takes the frame away. What it keeps of its own stays with it. */
function unload() {
  frame?.remove()
  frame = say = undefined
}

/** mount puts us into the page: at once, and again after its contents were swapped. */
function mount() {
  if (!box) return
  if (ui) {
    // Beside body: what swaps the body (Turbo, Astro) leaves us there, and the frame runs on.
    if (!ui.root.isConnected) d.documentElement.append(ui.root)
    return
  }
  const { target } = options
  const at = typeof target === 'string' ? d.querySelector(target) : target
  if (!at || box.parentNode === at) return
  unload()
  at.append(box)
  load()
}

function show(on: boolean, back?: boolean) {
  if (!ui || on === shown) return
  shown = on
  if (on) load()
  draw()
  const t = on ? 'open' : 'close'
  tell(t)
  on ? frame?.focus() : back && ui.button.focus()
  emit(t)
}

addEventListener('message', ({ source, origin, data }) => {
  if (!frame || source !== frame.contentWindow || origin !== base.origin || !fits(data) || data.t !== HELLO || data.v !== V) return
  const { port1, port2 } = new MessageChannel()
  say = talk(port1, fromFrame, heard)
  frame.contentWindow!.postMessage({ t: INIT, v: V, opts: forFrame() }, origin, [port2])
  if (loggedOut) tell('logout')
})

async function heard(m: Said) {
  const { t, id } = m
  if (t === 'token.request') {
    const answer = say!
    try {
      answer({ t: 'token.reply', id, token: (await options.getToken?.({ reason: m.reason as Reason })) || '' })
    } catch (e) {
      answer({ t: 'token.reply', id, error: (e + '').slice(0, 200), code: (e as { code?: unknown })?.code })
    }
  } else if (t === 'open' || t === 'close') show(t === 'open', true)
  else {
    if (t === 'unread') {
      unread = +(m.total as number) || 0
      draw()
    }
    if (t === 'logout') loggedOut?.()
    if (emit(t, m) && t === 'navigate' && /^(https?|mailto|tel):/i.test(m.href + '')) open(m.href + '', '_blank', 'noopener,noreferrer')
  }
}

const change = (o?: Options) => {
  options = { ...options, ...o }
  tell('update', { opts: forFrame() })
  draw()
}

const commands: Record<string, (...a: any[]) => unknown> = {
  boot(o?: Options) {
    const had = options
    options = { ...script.dataset, ...had }
    change(o)
    // Booted again, for another application or place, or with somebody who was not known before.
    if (had.app && (had.app !== options.app || had.target !== options.target || !had.getToken !== !options.getToken)) unload()
    if (!box) {
      if (options.target) {
        box = d.createElement('div')
        box.style.cssText = 'height:100%;min-height:360px'
        shown = true
      } else {
        ui = launcher(() => show(!shown, true))
        box = ui.panel
        draw()
      }
    }
    mount()
    if (ui && (shown || options.getToken)) load()
  },
  update: change,
  open(to?: unknown) {
    if (!box) commands.boot!()
    if (to) commands.conversation!(to)
    show(true)
  },
  close: () => show(false),
  toggle: () => { ui && shown ? show(false) : commands.open!() },
  conversation(to: string) {
    options.conversation = to
    tell('conversation', { to })
  },
  on: (t: string, f: Listener) => { (listeners[t] ??= new Set()).add(f) },
  off: (t: string, f?: Listener) => { f ? listeners[t]?.delete(f) : delete listeners[t] },
  /** Ends the login and wipes what the frame keeps, whether it was opened or not. */
  logout() {
    if (!box) commands.boot!()
    load()
    return new Promise<void>(done => {
      const timer = setTimeout(loggedOut = () => {
        clearTimeout(timer)
        loggedOut = undefined
        delete options.getToken
        unread = 0
        show(false)
        unload()
        draw()
        done()
      }, 8000)
      tell('logout')
    })
  },
  destroy() {
    unload()
    ;(ui ? ui.root : box)?.remove()
    box = ui = undefined
    shown = false
    options = {}
  },
}
for (const k of ['theme', 'locale', 'context']) commands[k] = v => change({ [k]: v })

if (!w.Troupe?.v) {
  const early = w.Troupe?.q ?? []
  const run = (name: string, ...rest: unknown[]) => Object.hasOwn(commands, name) ? commands[name]!(...rest) : fail('INVALID', 'no command ' + name)
  w.Troupe = Object.assign(run, { v: V })
  for (const c of Array.from(early)) run(...(Array.from(c) as Command))
  if (!options.app && script.dataset.app) commands.boot!()
  new MutationObserver(mount).observe(d.documentElement, { childList: true })
  for (const e of ['turbo:load', 'astro:page-load']) d.addEventListener(e, mount)
}
