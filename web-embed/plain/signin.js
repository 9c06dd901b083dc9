// The first thing one sees: sign in, or make an account.

import { h } from './dom.js'
import { t, wrong } from './text.js'
import { Account } from './account.js'

/** signIn gives the form; done gets the account. notice says why one is here again. */
export function signIn(done, { notice = '', name = '', fresh = !name && !notice } = {}) {
  const field = (id, label, props, hint) => {
    const input = h('input', { id, name: id, ...props, ...(hint && { 'aria-describedby': id + '-hint' }) })
    return { input, row: h('div.field', { 'data-field': id }, h('label', { for: id }, label), input, hint && h('span.field-hint', { id: id + '-hint' }, hint)) }
  }
  const user = field('username', t('name'), { type: 'text', required: true, maxlength: 64, autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false', value: name })
  const nick = field('nickname', `${t('nickname')} (${t('optional')})`, { type: 'text', maxlength: 64, autocomplete: 'nickname' })
  const pass = field('password', t('password'), { type: 'password', required: true, maxlength: 256 }, t('passwordHint'))
  const code = field('code', t('code'), { type: 'text', maxlength: 128, autocomplete: 'off', spellcheck: 'false' })
  const peek = h('button.peek', { type: 'button', 'aria-controls': 'password', onclick: () => {
    const shown = pass.input.type === 'text'
    pass.input.type = shown ? 'password' : 'text'
    peek.textContent = t(shown ? 'show' : 'hide')
  } }, t('show'))
  pass.input.after(peek)
  const extra = h('details', {}, h('summary', {}, t('haveCode')), code.row)
  const error = h('p.error', { role: 'alert' }, notice)
  const button = h('button.primary', { type: 'submit' })
  const tab = (id, label) => h('button.tab', { type: 'button', role: 'tab', id: 'tab-' + id, 'aria-controls': 'sign-form', onclick: () => turn(id === 'up') }, label)
  const tabs = [tab('in', t('signIn')), tab('up', t('signUp'))]
  let making
  const turn = up => {
    making = up
    error.textContent = error.textContent === notice ? notice : ''
    tabs.forEach((b, n) => b.setAttribute('aria-selected', String(!!n === up)))
    nick.row.hidden = extra.hidden = !up
    pass.row.querySelector('.field-hint').hidden = !up
    pass.input.minLength = up ? 8 : 1
    pass.input.autocomplete = up ? 'new-password' : 'current-password'
    button.textContent = t(up ? 'signUp' : 'signIn')
  }
  const form = h('form', { onsubmit: async e => {
    e.preventDefault()
    if (button.disabled) return
    button.disabled = true
    button.textContent = t('wait')
    error.textContent = ''
    try {
      const who = user.input.value.trim()
      done(making ? await Account.register(who, pass.input.value, nick.input.value.trim(), code.input.value.trim()) : await Account.login(who, pass.input.value))
    } catch (x) {
      error.textContent = wrong(x, making ? 'register' : 'login')
      if (making && x.code === 'DENIED') extra.open = true
      button.disabled = false
      button.textContent = t(making ? 'signUp' : 'signIn')
    }
  } }, user.row, nick.row, pass.row, extra, error, button)
  turn(fresh)
  return h('main.sign', {}, h('div.sign-card', {},
    h('img.logo', { src: '/plain/icon.svg', alt: '' }), h('h1', {}, 'Troupe'), h('p.soft', {}, t('tagline')),
    h('div.tabs', { role: 'tablist' }, tabs), h('div', { id: 'sign-form', role: 'tabpanel' }, form)))
}
