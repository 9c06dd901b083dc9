// The rows of a timeline: messages, what waits to be sent, and what happened.

import { h, icon, iconButton, avatar, menu, toast } from './dom.js'
import { t, time, moment, wrong } from './text.js'
import { nameOf, said, happened, typeOf } from './names.js'

const REACTIONS = ['👍', '❤️', '😂', '🎉', '😮', '🙏']

const changes = new Set(['recall', 'edit', 'react', 'expire'])

/** hidden entries show in what they changed, not by themselves. */
export const hidden = e => changes.has(e.kind) || e.kind === 'change' && !e.name && !e.owner && !e.role

/** text makes what was written into nodes: links are links, all else is text. */
function text(s) {
  const parts = []
  let at = 0
  for (const m of s.matchAll(/\bhttps?:\/\/[^\s<>"'，。！？、；：（）【】《》]+/gi)) {
    const url = m[0].replace(/[.,;:!?)\]}]+$/, '')
    let ok = false
    try { ok = /^https?:$/.test(new URL(url).protocol) } catch { /* no link, then */ }
    if (!ok) continue
    parts.push(s.slice(at, m.index), h('a', { href: url, target: '_blank', rel: 'noopener noreferrer nofollow ugc' }, url))
    at = m.index + url.length
  }
  return [...parts, s.slice(at)]
}

function content(chat, c) {
  if (c.type === 'text') return text(c.text || '')
  const forwarded = (c.forwarded || []).map(f => h('div.quote', {}, h('b', {}, h('bdi', {}, f.sender ? nameOf(chat, f.sender) : '')), h('span', {}, f.text || '')))
  return [h('span.kind', {}, typeOf(c)), ' ', c.title || c.name || '', c.text ? [' ', ...text(c.text)] : '', ...forwarded, c.url ? h('div', {}, ...text(c.url)) : null]
}

const key = e => e.clientMsgId ? e.sender + e.clientMsgId : 's' + e.seq

/** status says how far one's own message has come: sent, delivered or read, and by how many. */
function status(chat, s, e) {
  const others = s.people ? [...s.people.values()].filter(m => m.user !== chat.me) : []
  const read = others.filter(m => (m.readSeq || 0) >= e.seq).length
  if (others.length && read === others.length) return { word: 'read', sign: 'ticks' }
  if (others.length > 1 && read) return { word: 'delivered', sign: 'ticks', label: t('readBy', { n: read, all: others.length }) }
  if (others.length && others.every(m => Math.max(m.recvSeq || 0, m.readSeq || 0) >= e.seq)) return { word: 'delivered', sign: 'ticks' }
  return { word: 'sent', sign: 'tick' }
}

function quote(chat, s, replyTo, view) {
  if (!replyTo) return null
  const seq = Number(replyTo.slice(replyTo.lastIndexOf('.') + 1))
  const e = s.entries?.get(seq)
  return h('button.quote', { type: 'button', onclick: () => view?.show(seq) },
    h('b', {}, h('bdi', {}, e ? nameOf(chat, e.sender) : '…')), h('span', {}, h('bdi', {}, e ? said(chat, e) : t('reply'))))
}

const shell = (e, place, own, state, ...kids) => h(`div.message.${own ? 'own' : 'other'}${place.first ? '.first' : ''}${place.last ? '.last' : ''}`,
  { 'data-seq': e.seq, 'data-client-id': e.clientMsgId, 'data-status': state, 'data-sender': e.sender }, ...kids)

export function message(chat, s, e, place, view) {
  const own = e.sender === chat.me
  const st = own ? status(chat, s, e) : { word: 'received' }
  const name = !own && s.type !== 'p2p' && place.first ? nameOf(chat, e.sender) : ''
  const answered = e.replyTo && s.entries.get(Number(e.replyTo.slice(e.replyTo.lastIndexOf('.') + 1)))
  const label = st.label || (own ? t(st.word) : '')
  const sig = JSON.stringify(['m', e.content, e.editedAt, e.reactions, st.word, label, place, name, answered && [said(chat, answered), nameOf(chat, answered.sender)], nameOf(chat, e.sender)])
  return {
    key: key(e), sig,
    make: old => {
      const dots = iconButton('dots', t('more'), () => actions(chat, s, e, dots, view), { 'aria-haspopup': 'menu', 'data-action': 'message-menu' })
      const bubble = h('div.bubble', { oncontextmenu: m => { if (getSelection().isCollapsed && !m.target.closest('a')) { m.preventDefault(); actions(chat, s, e, bubble, view) } } },
        quote(chat, s, e.replyTo, view), h('div.text', { dir: 'auto' }, ...content(chat, e.content || { type: 'text', text: '' }).flat()))
      bubble.addEventListener('click', m => { // a finger has no hover: a tap opens the actions
        if (matchMedia('(hover: none)').matches && !m.target.closest('a, button')) actions(chat, s, e, bubble, view)
      })
      const reactions = e.reactions?.length && h('div.reactions', {}, ...e.reactions.map(r => {
        const mine = r.users.includes(chat.me)
        return h('button.reaction' + (mine ? '.mine' : ''), {
          type: 'button', 'aria-pressed': String(mine), 'data-reaction': r.reaction, title: r.users.map(u => nameOf(chat, u)).join(', '),
          onclick: () => chat.react(s, e, r.reaction, !mine).catch(x => toast(wrong(x))),
        }, r.reaction, h('span', {}, String(r.count || r.users.length)))
      }))
      const meta = (place.last || e.editedAt) && h('div.meta', {},
        e.editedAt && h('span', {}, t('edited')),
        place.last && h('time', { title: moment(e.createdAt), datetime: new Date(e.createdAt).toISOString() }, time(e.createdAt)),
        own && place.last && h('span.ticks.' + st.word, { role: 'img', 'aria-label': label, title: label }, icon(st.sign)),
        own && place.last && st.label && h('span', {}, label))
      const node = shell(e, place, own, st.word,
        !own && (place.last ? avatar(e.sender, nameOf(chat, e.sender)) : h('span.avatar.none')),
        h('div.body', {}, name && h('div.from', {}, h('bdi', {}, name)), h('div.line', {}, bubble, dots), reactions || null, meta || null))
      if (!old && view.opened && Date.now() - e.createdAt < 5000) node.classList.add('new')
      return node
    },
  }
}

function actions(chat, s, e, anchor, view) {
  const own = e.sender === chat.me
  const role = s.people?.get(chat.me)?.role
  const fail = x => toast(wrong(x))
  const written = e.content?.type === 'text'
  const faces = h('div.faces', {}, ...REACTIONS.map(r => {
    const mine = !!e.reactions?.find(x => x.reaction === r)?.users.includes(chat.me)
    return h('button', { type: 'button', role: 'menuitemcheckbox', 'aria-checked': String(mine), 'aria-label': t('react') + ' ' + r, 'data-close': true, 'data-reaction': r, onclick: () => chat.react(s, e, r, !mine).catch(fail) }, r)
  }))
  menu(anchor, [
    faces,
    { label: t('reply'), icon: 'reply', act: () => view.composer.reply(e) },
    written && { label: t('copy'), icon: 'copy', act: () => navigator.clipboard?.writeText(e.content.text).then(() => toast(t('copied')), () => {}) },
    own && written && { label: t('edit'), icon: 'edit', act: () => view.composer.edit(e) },
    (own || role === 'owner' || role === 'admin') && { label: t('recall'), icon: 'undo', danger: true, act: () => chat.recall(s, e).catch(fail) },
  ], t('more'))
}

/** pending is a message that the server has not acknowledged. */
export function pending(chat, s, e, place) {
  return {
    key: key(e), sig: JSON.stringify(['p', e.state, place, e.error, e.content]),
    make: old => {
      const failed = e.state === 'failed'
      const node = shell(e, place, true, e.state,
        h('div.body', {}, h('div.line', {}, h('div.bubble', {}, quote(chat, s, e.replyTo), h('div.text', { dir: 'auto' }, ...text(e.content.text || '')))),
          failed ? h('div.meta.failed', { role: 'alert' }, icon('alert'), h('span', {}, t('failed') + ' · ' + wrong(e.error || {}, 'send')),
            h('button.link', { type: 'button', onclick: () => { chat.outbox.retry(e.clientMsgId); chat.on.changed(s.id) } }, t('retry')),
            h('button.link', { type: 'button', onclick: () => { chat.outbox.drop(e.clientMsgId); chat.on.changed(s.id) } }, t('remove2')))
            : place.last && h('div.meta', {}, h('time', {}, time(e.createdAt)), h('span.ticks', { role: 'img', 'aria-label': t(e.state), title: t(e.state) }, icon(e.state === 'sent' ? 'tick' : 'clock')))))
      if (!old) node.classList.add('new')
      return node
    },
  }
}

/** system is a line in the middle: who came and went, and what was taken back. */
export function system(chat, s, e, composer) {
  const gone = (e.kind || 'message') === 'message'
  const mine = gone && e.recalled && e.sender === chat.me
  const what = gone ? (e.recalled && e.recalledBy && e.recalledBy !== e.sender && e.recalledBy !== chat.me ? t('recalledOther', { name: nameOf(chat, e.recalledBy) })
    : e.recalledBy === chat.me ? t('recalledMine') : said(chat, e)) : happened(chat, e)
  const again = mine && s.recalled.get(e.seq)
  return {
    key: gone ? key(e) : 's' + e.seq, sig: JSON.stringify(['x', what, !!again]),
    make: () => h('div.system', { 'data-seq': e.seq, 'data-client-id': e.clientMsgId, 'data-status': gone ? 'recalled' : e.kind },
      h('span', {}, h('bdi', {}, what), again && [' · ', h('button.link', { type: 'button', onclick: () => composer.put(again) }, t('editAgain'))])),
  }
}
