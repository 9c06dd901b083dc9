// Small means to build the page. What people wrote becomes text nodes, never HTML.

/** h makes an element: h('div.row', {onclick: f, 'aria-label': x}, 'text', child). */
export function h(what, props, ...kids) {
  const [tag, ...classes] = what.split('.')
  const e = document.createElement(tag || 'div')
  if (classes.length) e.className = classes.join(' ')
  for (const [k, v] of Object.entries(props || {})) {
    if (v === undefined || v === null || v === false) continue
    if (k.startsWith('on')) e.addEventListener(k.slice(2), v)
    else if (k === 'value' || k === 'checked' || k === 'disabled') e[k] = v
    else e.setAttribute(k, v === true ? '' : v)
  }
  e.append(...kids.flat().filter(k => k !== null && k !== undefined && k !== false))
  return e
}

const paths = {
  back: 'M15 5l-7 7 7 7', plus: 'M12 5v14M5 12h14', group: 'M9 11a3.5 3.5 0 100-7 3.5 3.5 0 000 7zM2.5 20c0-3.6 2.9-6 6.5-6s6.5 2.4 6.5 6M16 4.5a3.3 3.3 0 010 6.2M18 14.4c2.2.8 3.5 2.800 3.500 5.600',
  chat: 'M4 5h16v11H9l-5 4z', dots: 'M5 12h.01M12 12h.01M19 12h.01', pin: 'M9 4h6l-1 6 3 3H7l3-3zM12 13v7',
  mute: 'M6 9a6 6 0 0110-4.400M18 9c0 5 2 6 2 6H8M10 19a2.200 2.200 0 004 0M4 4l16 16', send: 'M4 12l16-8-6 16-3-6z',
  tick: 'M5 12.500l4.500 4.500L19 7', ticks: 'M2.500 12.500L7 17l8.500-10M11.500 15.500L13 17l8.500-10', clock: 'M12 7v5l3 2M12 21a9 9 0 100-18 9 9 0 000 18z',
  close: 'M6 6l12 12M18 6L6 18', reply: 'M9 7L4 12l5 5M4 12h10a6 6 0 016 6v1', edit: 'M4 20l1-4L16.500 4.500l3 3L8 19z', copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  undo: 'M4 9h10a5.500 5.500 0 010 11H9M8 5L4 9l4 4', smile: 'M12 21a9 9 0 100-18 9 9 0 000 18zM8.500 14.500a4.200 4.200 0 007 0M9 9.500h.01M15 9.500h.01',
  exit: 'M10 4H5v16h5M14 8l4 4-4 4M18 12H9', down: 'M12 5v14M6 13l6 6 6-6', alert: 'M12 8v5M12 16.500h.01M12 21a9 9 0 100-18 9 9 0 000 18z',
}

/** icon draws one of the page's signs. It is for eyes only: what it stands on has the name. */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  svg.setAttribute('viewBox', '0 0 24 24')
  svg.setAttribute('aria-hidden', 'true')
  svg.setAttribute('class', 'icon icon-' + name)
  const p = document.createElementNS('http://www.w3.org/2000/svg', 'path')
  p.setAttribute('d', paths[name])
  svg.append(p)
  return svg
}

export const iconButton = (name, label, onclick, more) => h('button.icon-button', { type: 'button', 'aria-label': label, title: label, onclick, ...more }, icon(name))

/** clean takes characters out of a name that would turn the text around it. */
export const clean = s => (s || '').replace(/[\u0000-\u001f\u007f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '')

const letters = globalThis.Intl?.Segmenter && new Intl.Segmenter()

/** avatar is a tile with the first letter of a name, in a colour that the id gives. */
export function avatar(id, name, sign) {
  let hue = 0
  for (const c of id) hue = (hue * 31 + c.codePointAt(0)) % 360
  const first = letters ? letters.segment(clean(name) || '·')[Symbol.iterator]().next().value.segment : [...(clean(name) || '·')][0]
  const a = h('span.avatar', { 'aria-hidden': 'true' }, sign ? icon(sign) : first.toLocaleUpperCase())
  a.style.setProperty('--hue', hue)
  return a
}

/** reconcile makes parent's children what rows say. A row has key, sig and make();
 * a child whose key and sig are the same stays the element it was. */
export function reconcile(parent, rows) {
  const had = parent.rows || new Map(), now = new Map()
  let at = parent.firstChild
  for (const r of rows) {
    let old = had.get(r.key)
    if (!old || old.sig !== r.sig) {
      const node = r.make(old?.node)
      if (old && old.node !== node) { if (at === old.node) at = at.nextSibling; old.node.replaceWith(node) }
      old = { sig: r.sig, node }
    }
    now.set(r.key, old)
    had.delete(r.key)
  }
  for (const { node } of had.values()) { if (at === node) at = at.nextSibling; node.remove() }
  at = parent.firstChild
  for (const { node } of now.values()) {
    if (node === at) at = at.nextSibling
    else parent.insertBefore(node, at)
  }
  parent.rows = now
}

let shut = null

/** menu opens a list of actions by an anchor: {label, icon?, act, danger?}, or a ready element. */
export function menu(anchor, items, label) {
  shut?.()
  const opener = document.activeElement
  const box = h('div.menu', { role: 'menu', 'aria-label': label })
  const close = back => {
    removeEventListener('pointerdown', outside, true)
    removeEventListener('resize', gone)
    anchor.removeAttribute?.('aria-expanded')
    box.remove()
    if (shut === close) shut = null
    if (back) (opener?.isConnected ? opener : anchor).focus?.()
  }
  const gone = () => close(false)
  const outside = e => { if (!box.contains(e.target)) close(false) }
  for (const i of items.filter(Boolean)) {
    box.append(i instanceof Node ? i : h('button.menu-item' + (i.danger ? '.danger' : ''), { type: 'button', role: 'menuitem', onclick: () => { close(true); i.act() } }, i.icon ? icon(i.icon) : null, i.label))
  }
  box.addEventListener('click', e => { if (e.target.closest('[data-close]')) close(true) })
  box.addEventListener('keydown', e => {
    const all = [...box.querySelectorAll('button')], n = all.indexOf(document.activeElement)
    const to = { ArrowDown: n + 1, ArrowRight: n + 1, ArrowUp: n - 1 + all.length, ArrowLeft: n - 1 + all.length, Home: 0, End: all.length - 1 }[e.key]
    if (to !== undefined) { e.preventDefault(); all[to % all.length].focus() }
    if (e.key === 'Escape' || e.key === 'Tab') { e.preventDefault(); e.stopPropagation(); close(true) }
  })
  ;(anchor.closest?.('main') ?? document.body).append(box)
  anchor.setAttribute?.('aria-expanded', 'true')
  const a = anchor.getBoundingClientRect(), b = box.getBoundingClientRect()
  const top = a.bottom + 4 + b.height > innerHeight ? Math.max(8, a.top - b.height - 4) : a.bottom + 4
  box.style.left = Math.max(8, Math.min(a.left, innerWidth - b.width - 8)) + 'px'
  box.style.top = top + 'px'
  addEventListener('pointerdown', outside, true)
  addEventListener('resize', gone)
  shut = close
  box.querySelector('button')?.focus()
}

/** dialog shows a modal window; build gets a function that closes it and gives the content. */
export function dialog(title, build) {
  const d = h('dialog', { 'aria-label': title, onclose: () => d.remove() })
  const close = () => d.close()
  d.append(h('h2', {}, title), build(close))
  d.addEventListener('pointerdown', e => { if (e.target === d) close() })
  document.body.append(d)
  d.showModal()
  return d
}

/** confirm asks before something that can't be taken back. */
export const confirm = (text, yes, act) => dialog(yes, close => h('form', { method: 'dialog' },
  h('p', {}, text),
  h('div.actions', {},
    h('button.plain', { type: 'button', onclick: close }, confirm.cancel),
    h('button.primary.danger', { type: 'button', onclick: () => { close(); act() } }, yes))))

/** announce has screen readers say something. */
export function announce(text) { document.getElementById('announcer').textContent = text }

let toastTimer
/** toast shows a short notice. */
export function toast(text) {
  document.querySelector('.toast')?.remove()
  const e = h('div.toast', { role: 'alert' }, text)
  ;(document.querySelector('dialog[open]') || document.body).append(e)
  clearTimeout(toastTimer)
  toastTimer = setTimeout(() => e.remove(), 4000)
}
