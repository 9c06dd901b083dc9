// The home list: who one talks with, what was said last, what is unread.

import { h, icon, iconButton, avatar, reconcile, menu, toast } from './dom.js'
import { t, when, wrong } from './text.js'
import { titleOf, nameOf, said } from './names.js'
import { newChat, newGroup } from './dialogs.js'

export class List {
  constructor(chat, go) {
    this.chat = chat
    this.go = go
    this.me = h('button.me', { type: 'button', 'aria-haspopup': 'menu', 'aria-label': t('account'), onclick: () => this.account() })
    this.rows = h('div.rows', { role: 'list', onscroll: () => this.scrolled() })
    this.add = iconButton('plus', t('newChat'), () => menu(this.add, [
      { label: t('newChat'), icon: 'chat', act: () => newChat(chat, go) },
      { label: t('newGroup'), icon: 'group', act: () => newGroup(chat, go) },
    ], t('newChat')), { 'aria-haspopup': 'menu', 'data-action': 'new' })
    this.empty = h('div.empty', { hidden: true },
      h('div.tile', {}, icon('chat')), h('p', {}, t('noChats')), h('p.soft', {}, t('noChatsHint')),
      h('div.chips', {},
        h('button.chip', { type: 'button', 'data-action': 'new-chat', onclick: () => newChat(chat, go) }, t('newChat')),
        h('button.chip', { type: 'button', 'data-action': 'new-group', onclick: () => newGroup(chat, go) }, t('newGroup'))))
    this.root = h('nav.list', { 'aria-label': t('chats') },
      h('header.list-head', {}, this.me, h('h1', {}, t('chats')), this.add), this.rows, this.empty)
  }

  account() {
    const p = this.chat.profile(this.chat.me)
    menu(this.me, [
      h('div.menu-note', {}, h('b', { dir: 'auto' }, nameOf(this.chat, this.chat.me)), h('span', { dir: 'auto' }, p.name || '')),
      { label: t('signOut'), icon: 'exit', act: () => this.chat.on.signOut() },
    ], t('account'))
  }

  scrolled() {
    const r = this.rows
    if (r.scrollTop + r.clientHeight > r.scrollHeight - 300) this.chat.moreSessions().catch(() => {})
  }

  paint() {
    const { chat } = this
    const mine = nameOf(chat, chat.me)
    if (this.mine !== mine) { this.mine = mine; this.me.replaceChildren(avatar(chat.me, mine)) }
    const home = chat.home()
    reconcile(this.rows, home.map(s => this.row(s)))
    this.empty.hidden = home.length > 0 || !chat.ready
    this.rows.hidden = home.length === 0
  }

  row(s) {
    const { chat } = this
    const title = titleOf(chat, s), open = chat.open === s.id
    const drafted = !!s.draft.trim() && !open
    const typing = [...s.typing].filter(([, until]) => until > Date.now()).map(([u]) => u)
    let prefix = '', text = s.last ? said(chat, s.last) : ''
    if (typing.length) text = s.type === 'p2p' ? t('typing') : t('typing1', { name: nameOf(chat, typing[0]) })
    else if (drafted) { prefix = t('draft'); text = s.draft }
    else if (s.last && s.type !== 'p2p' && !s.last.recalled) prefix = (s.last.sender === chat.me ? t('you') : nameOf(chat, s.last.sender)) + ': '
    const time = s.updated ? when(s.updated) : ''
    const sig = [title, text, prefix, time, s.unread, s.sticky, s.muted, s.mentioned, open, typing.length > 0].join('\u0001')
    return {
      key: s.id, sig,
      make: old => {
        const badge = s.unread > 0 && h('span.badge' + (s.muted ? '.quiet' : ''), { 'aria-label': t('unread', { n: s.unread }) }, s.unread > 99 ? '99+' : String(s.unread))
        const main = h('button.row-main', { type: 'button', 'aria-current': open ? 'true' : null, onclick: () => this.go(s.id) },
          avatar(s.type === 'p2p' ? chat.other(s) : s.id, title, s.type === 'p2p' ? '' : 'group'),
          h('span.row-text', {},
            h('span.row-top', {}, h('bdi.row-title', {}, title),
              s.muted && h('span.mark', { role: 'img', 'aria-label': t('muted') }, icon('mute')),
              s.sticky && h('span.mark', { role: 'img', 'aria-label': t('pinned') }, icon('pin')),
              h('time.row-time', {}, time)),
            h('span.row-bottom', {},
              h('span.row-last' + (typing.length || s.mentioned && s.unread ? '.lively' : ''), {},
                prefix && h('span' + (drafted ? '.drafted' : ''), {}, h('bdi', {}, prefix)), h('bdi', {}, text)),
              badge || null)))
        const dots = iconButton('dots', t('more') + ': ' + title, () => this.more(s, dots), { 'aria-haspopup': 'menu' })
        const row = h('div.row' + (open ? '.open' : ''), {
          role: 'listitem', 'data-conversation': s.id, 'data-unread': s.unread, 'data-sticky': String(s.sticky), 'data-muted': String(s.muted),
          oncontextmenu: e => { e.preventDefault(); this.more(s, row) },
        }, main, dots)
        if (old?.contains(document.activeElement)) queueMicrotask(() => main.focus({ preventScroll: true }))
        return row
      },
    }
  }

  more(s, anchor) {
    const set = fields => this.chat.set(s, fields).catch(e => toast(wrong(e)))
    menu(anchor, [
      { label: t(s.sticky ? 'unpin' : 'pin'), icon: 'pin', act: () => set({ sticky: !s.sticky }) },
      { label: t(s.muted ? 'unmute' : 'mute'), icon: 'mute', act: () => set({ muted: !s.muted }) },
    ], t('more'))
  }
}
