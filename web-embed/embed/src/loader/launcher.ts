// The round button and the panel over a page. It lives in a shadow root, and its styles are adopted: neither
// the page's styles nor its content security policy come in the way.

export interface Launcher {
  root: HTMLElement
  panel: HTMLElement
  button: HTMLButtonElement
  draw(o: Look, shown: boolean, unread: number): void
}
export interface Look { theme?: string; accent?: string; locale?: string; label?: string }

const css = `:host{all:initial;position:fixed;z-index:2147483647;right:20px;bottom:20px;font:600 12px/20px system-ui;--a:#3657d6}
button{all:unset;display:grid;place-items:center;width:56px;height:56px;border-radius:50%;background:var(--a);cursor:pointer;box-shadow:0 6px 20px #10182838}
button:focus-visible{outline:3px solid var(--a);outline-offset:3px}
button:before{content:"";width:24px;height:24px;background:#fff;clip-path:path("M5 4h14q3 0 3 3v8q0 3-3 3h-6l-5 4v-4H5q-3 0-3-3V7q0-3 3-3z")}
.on+button:before{clip-path:path("M4 9l8 8 8-8-2-2-6 6-6-6z")}
i{position:absolute;top:-4px;right:-4px;min-width:8px;padding:0 6px;border-radius:10px;background:#d92d20;color:#fff;font-style:normal;text-align:center}
i:empty{display:none}
div{position:absolute;right:0;bottom:72px;width:400px;max-width:calc(100vw - 40px);height:min(680px,100dvh - 112px);border-radius:20px;overflow:hidden;background:var(--b);box-shadow:0 6px 20px #10182838;opacity:0;visibility:hidden;transform:translateY(8px);transition:.16s}
.on{opacity:1;visibility:visible;transform:none}
@media(max-width:480px){div{position:fixed;inset:0;width:auto;max-width:none;height:auto;border-radius:0}.on+button{display:none}}
@media(prefers-reduced-motion){div{transition:none}}`

export function launcher(press: () => void): Launcher {
  const make = (name: string) => document.createElement(name)
  const root = make('troupe-launcher')
  const shadow = root.attachShadow({ mode: 'open' })
  const sheet = new CSSStyleSheet()
  sheet.replaceSync(css)
  shadow.adoptedStyleSheets = [sheet]
  const panel = make('div')
  const button = make('button') as HTMLButtonElement
  const badge = make('i')
  button.append(badge)
  button.onclick = press
  shadow.append(panel, button)
  return {
    root, panel, button,
    draw(o, shown, unread) {
      const zh = (o.locale || document.documentElement.lang || navigator.language).startsWith('zh')
      const dark = o.theme === 'dark' || (o.theme !== 'light' && matchMedia('(prefers-color-scheme:dark)').matches)
      root.style.setProperty('--b', dark ? '#161b22' : '#fff')
      if (o.accent) root.style.setProperty('--a', o.accent)
      panel.className = shown ? 'on' : ''
      badge.textContent = unread && !shown ? (unread > 99 ? '99+' : unread + '') : ''
      button.ariaExpanded = shown + ''
      button.ariaLabel = (o.label || (zh ? '聊天' : 'Chat')) + ' ' + badge.textContent
    },
  }
}
