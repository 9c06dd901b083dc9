// One conversation: its head, its timeline and what is written under it.

import { h, icon, iconButton, avatar, reconcile, menu, announce, toast } from './dom.js'
import { t, day, dayOf, wrong } from './text.js'
import { titleOf, nameOf, said } from './names.js'
import { message, pending, system, hidden } from './bubble.js'
import { Composer } from './composer.js'
import { members, rename, leave } from './dialogs.js'

const NEAR = 48 // px from the end that count as being there
const TOGETHER = 5 * 60 * 1000 // ms within which messages of one sender are a group

export class Talk {
  constructor(chat, s, back) {
    this.chat = chat
    this.s = s
    this.follow = true
    this.fresh = 0 // messages that came while one read further up
    this.title = h('bdi.talk-title')
    this.sub = h('span.talk-sub')
    this.face = h('span.face')
    this.dots = iconButton('dots', t('more'), () => this.more(), { 'aria-haspopup': 'menu', 'data-action': 'session-menu' })
    this.log = h('div.log', { role: 'log', 'aria-live': 'off', 'aria-label': t('message'), tabindex: '0', onscroll: () => this.scrolled() })
    this.column = h('div.column')
    this.log.append(this.column)
    this.jump = h('button.jump', { type: 'button', hidden: true, 'aria-label': t('toLatest'), title: t('toLatest'), onclick: () => this.toEnd() }, icon('down'), h('span.badge', { hidden: true }))
    this.composer = new Composer(chat, s, () => { s.line = null; this.follow = true })
    this.root = h('section.talk', { 'data-session': s.id },
      h('header.talk-head', {}, iconButton('back', t('back'), back, { 'data-action': 'back' }), this.face,
        h('div.talk-name', {}, h('h1', {}, this.title), this.sub), this.dots),
      h('div.log-box', {}, this.log, this.jump), this.composer.root)
    s.line = s.unread ? s.read : null
    this.opened = false
    this.seen = () => this.look()
    addEventListener('focus', this.seen)
    addEventListener('resize', this.resized = () => { if (this.follow) this.toEnd(); else this.look() })
    document.addEventListener('visibilitychange', this.seen)
    this.size = new ResizeObserver(() => { if (this.follow) this.log.scrollTop = this.log.scrollHeight })
    this.size.observe(this.log)
    chat.on.entry = (w, e) => { if (w === this.s) this.came(e) }
  }

  close() {
    removeEventListener('focus', this.seen)
    removeEventListener('resize', this.resized)
    document.removeEventListener('visibilitychange', this.seen)
    this.size.disconnect()
    this.chat.on.entry = null
    this.s.line = null
    this.composer.close()
    this.root.remove()
  }

  get watching() { return document.visibilityState === 'visible' && document.hasFocus() }

  came(e) {
    if ((e.kind || 'message') !== 'message' || e.sender === this.chat.me) return
    if (!this.follow) this.fresh++
    if (this.s.line === null && !this.watching && e.seq > this.s.read) this.s.line = e.seq - 1
    announce(nameOf(this.chat, e.sender) + ': ' + said(this.chat, e))
  }

  more() {
    const { chat, s } = this
    const set = f => chat.set(s, f).catch(e => toast(wrong(e)))
    const mine = s.people?.get(chat.me)?.role
    menu(this.dots, [
      { label: t(s.sticky ? 'unpin' : 'pin'), icon: 'pin', act: () => set({ sticky: !s.sticky }) },
      { label: t(s.muted ? 'unmute' : 'mute'), icon: 'mute', act: () => set({ muted: !s.muted }) },
      s.type !== 'p2p' && { label: t('members'), icon: 'group', act: () => members(chat, s) },
      s.type !== 'p2p' && (mine === 'owner' || mine === 'admin') && { label: t('rename'), icon: 'edit', act: () => rename(chat, s) },
      s.type !== 'p2p' && { label: t('leave'), icon: 'exit', danger: true, act: () => leave(chat, s) },
    ], t('more'))
  }

  paint() {
    const { chat, s, log } = this
    const title = titleOf(chat, s)
    if (this.named !== title) {
      this.named = title
      this.title.textContent = title
      this.face.replaceChildren(avatar(s.type === 'p2p' ? chat.other(s) : s.id, title, s.type === 'p2p' ? '' : 'group'))
      this.composer.name(title)
    }
    const typing = [...s.typing].filter(([u, until]) => until > Date.now() && u !== chat.me).map(([u]) => u)
    const sub = typing.length ? (typing.length === 1 ? t('typing1', { name: nameOf(chat, typing[0]) }) : t('typing2', { n: typing.length }))
      : s.type === 'p2p' ? '' : t('memberCount', { n: s.memberCount })
    if (this.sub.textContent !== sub) this.sub.textContent = sub
    this.sub.classList.toggle('lively', typing.length > 0)

    const anchor = this.follow ? null : this.anchor()
    reconcile(this.column, this.rows(typing))
    if (s.entries && !this.opened) this.arrive()
    else if (this.follow) log.scrollTop = log.scrollHeight
    else if (anchor) log.scrollTop += anchor.node.getBoundingClientRect().top - anchor.top
    this.jump.hidden = this.follow
    const badge = this.jump.lastChild
    badge.hidden = !this.fresh
    badge.textContent = this.fresh > 99 ? '99+' : this.fresh
    this.composer.paint()
    this.look()
    if (s.entries && s.more && log.scrollTop < 200) chat.log.older(s)
  }

  // arrive shows a conversation that was just opened: at the unread line, or its end.
  arrive() {
    this.opened = true
    const line = this.column.querySelector('.unread-line')
    const end = this.log.scrollHeight
    this.log.scrollTop = end
    if (line && line.offsetTop < this.log.scrollTop) {
      this.log.scrollTop = Math.max(0, line.offsetTop - 60)
      this.follow = this.atEnd
    }
  }

  // anchor is the first row in view, which stays where it is while others change.
  anchor() {
    const top = this.log.getBoundingClientRect().top
    for (const node of this.column.children) {
      const r = node.getBoundingClientRect()
      if (r.bottom > top && node.dataset.seq) return { node, top: r.top }
    }
    return null
  }

  get atEnd() { return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < NEAR }

  scrolled() {
    if (!this.opened) return
    const was = this.follow
    this.follow = this.atEnd
    if (this.follow) this.fresh = 0
    if (was !== this.follow) { this.jump.hidden = this.follow; this.jump.lastChild.hidden = !this.fresh }
    if (this.log.scrollTop < 400) this.chat.log.older(this.s)
    this.look()
  }

  toEnd() {
    this.follow = true
    this.fresh = 0
    this.log.scrollTop = this.log.scrollHeight
    this.jump.hidden = true
    this.look()
  }

  // look marks as read what is in view of somebody who looks.
  look() {
    const { s } = this
    if (!s.entries || !this.opened || !this.watching) return
    if (this.follow || this.atEnd) return this.chat.seen(s, s.high)
    const bottom = this.log.getBoundingClientRect().bottom
    let seen = 0
    for (const node of this.column.children) {
      if (node.getBoundingClientRect().top > bottom - 20) break
      if (node.dataset.seq) seen = Number(node.dataset.seq)
    }
    if (seen) this.chat.seen(s, seen)
  }

  rows(typing) {
    const { chat, s } = this
    if (!s.entries) return [{ key: 'loading', sig: '', make: () => h('div.note.loading', {}, t('loading')) }]
    const rows = []
    const shown = [...s.entries.values()].filter(e => !hidden(e))
    const waiting = chat.outbox.of(s.id)
    if (s.more) rows.push({ key: 'more', sig: '', make: () => h('div.note.loading', {}, t('loading')) })
    else if (s.floor > 1 && shown.length) rows.push({ key: 'floor', sig: '', make: () => h('div.note', {}, t('earlierGone')) })
    if (!shown.length && !waiting.length && !s.more) {
      rows.push({ key: 'hello', sig: '', make: () => h('div.empty', {}, h('div.tile', {}, icon('chat')), h('p', {}, t('hello')), h('p.soft', {}, t('helloHint'))) })
    }
    const after = s.line !== null ? shown.filter(e => e.seq > s.line && (e.kind || 'message') === 'message' && e.sender !== chat.me && !e.recalled) : []
    const all = [...shown, ...waiting.map(i => ({ ...i, pending: true, sender: chat.me, createdAt: i.at }))]
    const plain = e => e && ((e.kind || 'message') === 'message') && !e.recalled && !e.expired
    let last = 0
    all.forEach((e, n) => {
      const d = dayOf(e.createdAt)
      const newDay = d !== last
      if (newDay) rows.push({ key: 'day' + d, sig: day(d), make: () => h('div.day', {}, h('span', {}, day(d))) })
      last = d
      const line = e === after[0]
      if (line) rows.push({ key: 'line', sig: String(after.length), make: () => h('div.unread-line', { role: 'separator' }, h('span', {}, t('unreadLine', { n: after.length }))) })
      if (!plain(e)) return rows.push(system(chat, s, e, this.composer))
      const before = all[n - 1], next = all[n + 1]
      const joins = (a, b) => plain(a) && plain(b) && a.sender === b.sender && b.createdAt - a.createdAt <= TOGETHER && dayOf(a.createdAt) === dayOf(b.createdAt) && b !== after[0]
      const place = { first: newDay || line || !joins(before, e), last: !joins(e, next) }
      rows.push(e.pending ? pending(chat, s, e, place) : message(chat, s, e, place, this))
    })
    if (typing.length) rows.push({ key: 'typing', sig: typing.join(), make: () => h('div.message.other.first.last.is-typing', {}, avatar(typing[0], nameOf(chat, typing[0])), h('div.body', {}, h('div.bubble.dots', { role: 'img', 'aria-label': t('typing') }, h('i'), h('i'), h('i')))) })
    return rows
  }

  // show brings an older message into view, when it is loaded.
  show(seq) {
    const node = this.column.querySelector(`[data-seq="${seq}"]`)
    if (!node) return
    node.scrollIntoView({ block: 'center' })
    node.classList.add('flash')
    setTimeout(() => node.classList.remove('flash'), 1200)
  }
}
