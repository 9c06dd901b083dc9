// What is on the screen: the sign-in, or the home list beside a conversation.

import { h, icon, toast, announce } from './dom.js'
import { t, locale } from './text.js'
import { Account } from './account.js'
import { Chat } from './chat.js'
import { List } from './list.js'
import { Talk } from './talk.js'
import { signIn } from './signin.js'

const app = document.getElementById('app')
document.documentElement.lang = locale

let chat = null, list, talk = null, pane, strip, broken = 0, ticking, wasBroken = false

function enter(account) {
  chat = new Chat(account, {
    changed: () => soon(),
    state: () => { connection(); soon() },
    ended: why => end(why),
    gone: () => { show(null); toast(t('goneSession')) },
    signOut: () => leave(),
  })
  list = new List(chat, id => show(id))
  strip = h('div.connection', { role: 'status', hidden: true })
  pane = h('section.pane', {}, nothing())
  app.replaceChildren(h('div.home', {}, strip, h('main.panes', {}, list.root, pane)))
  const id = decodeURIComponent(location.hash.slice(1))
  if (id) show(id)
  connection()
  soon()
}

const nothing = () => h('div.empty', {}, h('div.tile', {}, icon('chat')), h('p', {}, t('pick')), h('p.soft', {}, t('pickHint')))

/** show opens a conversation; null: none. */
function show(id) {
  if (chat.open === id && talk) return
  talk?.close()
  talk = null
  chat.open = id
  history.replaceState(null, '', id ? '#' + encodeURIComponent(id) : location.pathname)
  app.dataset.view = id ? 'talk' : 'list'
  if (id && chat.sessions.has(id)) begin()
  else pane.replaceChildren(id ? h('div.empty', {}, h('p.soft', {}, t('loading'))) : nothing())
  soon()
}

function begin() {
  const s = chat.sessions.get(chat.open)
  talk = new Talk(chat, s, () => { const id = chat.open; show(null); list.rows.querySelector(`[data-conversation="${CSS.escape(id)}"] button`)?.focus() })
  pane.replaceChildren(talk.root)
  chat.look(s.id)
  talk.paint()
  if (matchMedia('(hover: hover)').matches) talk.composer.area.focus()
}

let due = false
// soon paints once for everything that changes in one turn, also in a window nobody looks at.
function soon() {
  if (due) return
  due = true
  const run = () => { if (due) { due = false; paint() } }
  requestAnimationFrame(run)
  setTimeout(run, 80)
}

function paint() {
  if (!chat) return
  if (chat.open && !talk && chat.ready) chat.sessions.has(chat.open) ? begin() : show(null)
  list.paint()
  talk?.paint()
  chat.on.painted?.()
  const n = chat.total
  document.title = (n ? `(${n > 99 ? '99+' : n}) ` : '') + 'Troupe'
}

// connection shows how the line is: nothing is said of a break that mends itself within two seconds.
function connection() {
  const { wire, outbox, ready } = chat ?? {}
  if (!wire) return
  app.dataset.connection = wire.state
  clearTimeout(ticking)
  if (wire.online) {
    if (wasBroken) {
      strip.className = 'connection good'
      strip.replaceChildren(t('back2'))
      strip.hidden = false
      announce(t('back2'))
      ticking = setTimeout(() => { strip.hidden = true }, 1500)
    } else strip.hidden = true
    broken = 0
    wasBroken = false
    return
  }
  broken ||= Date.now()
  const wait = 2000 - (Date.now() - broken)
  if (wait > 0) { ticking = setTimeout(connection, wait); return }
  const s = Math.ceil((wire.retryAt - Date.now()) / 1000)
  const text = wire.state !== 'waiting' ? t(ready ? 'offline' : 'connecting') : s > 0 ? t('retryIn', { n: s }) : t('offline')
  strip.className = 'connection'
  strip.replaceChildren(h('span', {}, text + (outbox.waiting ? ' ' + t('waitingCount', { n: outbox.waiting }) : '')),
    h('button.link', { type: 'button', onclick: () => wire.dial() }, t('retryNow')))
  if (!wasBroken) announce(t('offline'))
  wasBroken = true
  strip.hidden = false
  ticking = setTimeout(connection, 1000)
}

function close() {
  clearTimeout(ticking)
  broken = 0
  wasBroken = false
  talk?.close()
  talk = null
  chat?.stop()
  chat = null
  document.querySelectorAll('dialog, .menu').forEach(e => e.remove())
  document.title = 'Troupe'
  app.dataset.connection = 'idle'
  delete app.dataset.view
}

function leave() {
  const { account } = chat
  close()
  account.logout()
  history.replaceState(null, '', location.pathname)
  greet({ name: account.name })
}

// end is for connections that are not to be made again by themselves.
function end(why) {
  const { account } = chat
  close()
  if (why === 'ended') {
    account.forget()
    return greet({ notice: t('ended'), name: account.name })
  }
  app.dataset.connection = 'closed'
  app.replaceChildren(h('main.sign', {}, h('div.sign-card', {}, h('img.logo', { src: '/plain/icon.svg', alt: '' }), h('p', { role: 'alert' }, t(why)),
    h('button.primary', { type: 'button', onclick: () => (why === 'tooOld' ? location.reload() : enter(account)) }, t(why === 'tooOld' ? 'reload' : 'useHere')))))
}

function greet(more) {
  app.replaceChildren(signIn(account => enter(account), more))
  app.querySelector(more?.name ? '#password' : '#username')?.focus()
}

const account = Account.restore()
account ? enter(account) : greet()
