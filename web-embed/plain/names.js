// How people, sessions and messages are called.

import { clean } from './dom.js'
import { t, list } from './text.js'

export const nameOf = (chat, id) => clean(chat.profile(id).nickname || chat.profile(id).name) || (chat.profile(id).missing ? t('unknownUser') : '…')

/** titleOf is a session's name: its own, the other's, or the members'. */
export function titleOf(chat, s) {
  if (s.type === 'p2p') return nameOf(chat, chat.other(s))
  if (s.name) return clean(s.name)
  const others = s.people && [...s.people.keys()].filter(u => u !== chat.me)
  return others?.length ? list(others.slice(0, 4).map(u => nameOf(chat, u))) : t('group')
}

export const typeOf = c => t('type.' + c.type) === 'type.' + c.type ? t('type.other') : t('type.' + c.type)

/** said is a message in one line. */
export function said(chat, e) {
  if (e.recalled) return e.sender === chat.me ? t('recalledMine') : t('recalledOther', { name: nameOf(chat, e.sender) })
  if (e.expired) return t('expired')
  const c = e.content
  if (!c) return t('gone')
  if (c.type === 'text') return (c.text || '') + (e.cut && c.text ? '…' : '')
  return `[${typeOf(c)}] ${c.title || c.name || c.text || ''}`
}

/** happened is a member change in words. */
export function happened(chat, e) {
  const who = e.sender === chat.me ? t('you') : nameOf(chat, e.sender)
  const names = list((e.members || []).map(u => u === chat.me ? t('you') : nameOf(chat, u)))
  const alone = e.members?.length === 1 && e.members[0] === e.sender
  switch (e.kind) {
    case 'join': return alone ? t('joinedSelf', { names }) : t('joined', { who, names })
    case 'leave': return (alone ? t('left', { names }) : t('removed', { who, names })) + (e.owner ? ' · ' + t('newOwner', { name: nameOf(chat, e.owner) }) : '')
    case 'change': return e.name ? t('renamed', { who, name: clean(e.name) }) : e.owner ? t('newOwner', { name: nameOf(chat, e.owner) }) : t('changed', { who })
    case 'answer': return t(e.answer === 'accept' ? 'answerAccept' : 'answerRefuse', { who })
  }
  return ''
}
