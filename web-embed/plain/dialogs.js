// The windows in which one finds people and looks after a group.

import { h, iconButton, avatar, dialog, confirm, reconcile, toast } from './dom.js'
import { t, wrong } from './text.js'
import { nameOf } from './names.js'

confirm.cancel = t('cancel')

/** submit runs a form's work once at a time, and shows under it what went wrong. */
function submit(form, error, work) {
  form.addEventListener('submit', async e => {
    e.preventDefault()
    if (form.busy) return
    form.busy = true
    error.textContent = ''
    try { await work() } catch (x) { error.textContent = wrong(x) } finally { form.busy = false }
  })
}

const nameField = (id, label) => h('input', { id, type: 'text', maxlength: 64, autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false', 'aria-label': label, placeholder: label, name: id })

async function found(chat, name) {
  const p = await chat.find(name)
  if (!p) throw Object.assign(new Error(t('nobody', { name })), { code: 'NOBODY' })
  return p
}

/** newChat opens the conversation with the user of a name. */
export function newChat(chat, go) {
  dialog(t('newChat'), close => {
    const name = nameField('who', t('userName')), error = h('p.error', { role: 'alert' })
    const form = h('form', {}, name, error, h('div.actions', {},
      h('button.plain', { type: 'button', onclick: close }, t('cancel')), h('button.primary', { type: 'submit' }, t('start'))))
    submit(form, error, async () => {
      if (!name.value.trim()) return name.focus()
      const p = await found(chat, name.value.trim())
      if (p.userId === chat.me) throw Object.assign(new Error(t('yourself')), { code: 'SELF' })
      const id = await chat.create('p2p', [p.userId])
      close()
      go(id)
    })
    return form
  })
}

/** picker is a field that gathers people by name. */
function picker(chat, taken, error) {
  const picked = new Map()
  const chips = h('div.picked')
  const name = nameField('member', t('addName'))
  const paint = () => chips.replaceChildren(...[...picked.values()].map(p => h('span.chip', {}, h('bdi', {}, nameOf(chat, p.userId)),
    iconButton('close', t('removeName', { name: nameOf(chat, p.userId) }), () => { picked.delete(p.userId); paint(); name.focus() }))))
  const take = async () => {
    error.textContent = ''
    const text = name.value.trim()
    if (!text) return
    const p = await found(chat, text)
    if (p.userId === chat.me || taken(p.userId)) throw Object.assign(new Error(p.userId === chat.me ? t('yourself') : t('twice', { name: nameOf(chat, p.userId) })), { code: 'TWICE' })
    picked.set(p.userId, p)
    name.value = ''
    paint()
    name.focus()
  }
  const typing = () => document.activeElement === name && name.value.trim() // Enter adds the person, it is not the end
  const box = h('div.picker', {}, chips, h('div.field-row', {}, name,
    h('button.plain', { type: 'button', 'data-action': 'add', onclick: () => take().catch(x => { error.textContent = wrong(x) }) }, t('add'))))
  return { box, picked, take, typing }
}

export function newGroup(chat, go) {
  dialog(t('newGroup'), close => {
    const title = h('input', { type: 'text', maxlength: 128, 'aria-label': t('groupName'), placeholder: t('groupName'), name: 'title', autocomplete: 'off' })
    const error = h('p.error', { role: 'alert' })
    const people = picker(chat, () => false, error)
    const form = h('form', {}, title, people.box, error, h('div.actions', {},
      h('button.plain', { type: 'button', onclick: close }, t('cancel')), h('button.primary', { type: 'submit' }, t('create'))))
    submit(form, error, async () => {
      if (people.typing()) return people.take()
      await people.take()
      const id = await chat.create('group', [...people.picked.keys()], title.value.trim())
      close()
      go(id)
    })
    return form
  })
}

export function rename(chat, s) {
  dialog(t('rename'), close => {
    const name = h('input', { type: 'text', maxlength: 128, 'aria-label': t('groupName'), value: s.name, name: 'title', autocomplete: 'off' })
    const error = h('p.error', { role: 'alert' })
    const form = h('form', {}, name, error, h('div.actions', {},
      h('button.plain', { type: 'button', onclick: close }, t('cancel')), h('button.primary', { type: 'submit' }, t('save'))))
    submit(form, error, async () => { await chat.set(s, { name: name.value.trim() }); close() })
    return form
  })
}

export const leave = (chat, s) => confirm(t('leaveSure'), t('leave'), () => chat.leave(s).catch(e => toast(wrong(e))))

/** mayRemove is the server's rule, so that only buttons which work are shown. */
function mayRemove(chat, s, m) {
  const me = s.people.get(chat.me)
  if (!me || m.user === chat.me) return false
  return me.role === 'owner' || m.inviter === chat.me && m.role !== 'owner' || me.role === 'admin' && m.role !== 'owner'
}

export function members(chat, s) {
  const box = dialog(t('members'), close => {
    const error = h('p.error', { role: 'alert' })
    const people = h('ul.people')
    const rows = () => [...(s.people?.values() || [])].map(m => ({ key: m.user, sig: [nameOf(chat, m.user), m.role, mayRemove(chat, s, m)].join(), make: () => h('li', { 'data-member': m.user },
      avatar(m.user, nameOf(chat, m.user)),
      h('span.person', {}, h('bdi', {}, nameOf(chat, m.user)), m.user === chat.me && h('span.soft', {}, t('you'))),
      m.role && m.role !== 'member' && h('span.tag', {}, t(m.role)),
      mayRemove(chat, s, m) && iconButton('close', t('removeName', { name: nameOf(chat, m.user) }),
        () => chat.removeMember(s, m.user).then(paint, e => { error.textContent = wrong(e) }))) }))
    const paint = () => reconcile(people, rows())
    paint()
    chat.on.painted = paint // names may still be on their way
    const pick = picker(chat, u => s.people?.has(u), error)
    const form = h('form', {}, people, pick.box, error, h('div.actions', {}, h('button.primary', { type: 'submit' }, t('done'))))
    submit(form, error, async () => {
      if (pick.typing()) return pick.take()
      await pick.take()
      if (pick.picked.size) await chat.add(s, [...pick.picked.keys()])
      close()
    })
    chat.people(s)
    return form
  })
  box.addEventListener('close', () => { chat.on.painted = null })
}

