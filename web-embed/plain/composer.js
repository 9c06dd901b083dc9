// Where one writes. It never locks: without a connection what is sent waits.

import { h, icon, iconButton, toast } from './dom.js'
import { t, wrong } from './text.js'
import { nameOf, said } from './names.js'

const MAX_TEXT = 8 << 10 // bytes, the server's limit

export class Composer {
  constructor(chat, s, sent) {
    this.chat = chat
    this.s = s
    this.sent = sent
    this.area = h('textarea', {
      rows: 1, maxlength: 8192, enterkeyhint: 'send', value: s.draft, name: 'message', dir: 'auto',
      oninput: () => { this.fit(); if (this.area.value.trim() && !this.edited) chat.typing(s) },
      onkeydown: e => this.key(e),
      onkeypress: e => { if (e.key === 'Enter' && !e.shiftKey) e.preventDefault() }, // sent by the keydown before it
    })
    this.button = h('button.send', { type: 'submit', 'aria-label': t('send'), title: t('send') }, icon('send'))
    this.strip = h('div.strip', { hidden: true })
    this.root = h('form.composer', { onsubmit: e => { e.preventDefault(); this.send() } },
      h('div.composer-box', {}, this.strip, h('div.composer-row', {}, this.area, this.button)), h('div.hint', { 'aria-hidden': 'true' }, t('hint')))
  }

  name(title) {
    const label = t('writeTo', { name: title })
    this.area.setAttribute('aria-label', label)
    this.area.placeholder = label
  }

  key(e) {
    if (e.key === 'Escape' && (this.replied || this.edited)) { e.preventDefault(); return this.quit() }
    if (e.key === 'ArrowUp' && !this.area.value && !this.edited) return this.lastOne(e)
    if (e.key !== 'Enter' || e.shiftKey || e.isComposing || e.keyCode === 229) return // an input method ends a word with Enter too
    e.preventDefault()
    this.send()
  }

  // An arrow up in an empty field edits one's newest message.
  lastOne(e) {
    const mine = [...this.s.entries?.values() || []].filter(x => x.sender === this.chat.me && x.content?.type === 'text' && (x.kind || 'message') === 'message').at(-1)
    if (mine) { e.preventDefault(); this.edit(mine) }
  }

  async send() {
    const text = this.area.value.trim()
    if (!text) return
    if (new TextEncoder().encode(text).length > MAX_TEXT) return toast(t('tooLong'))
    const { chat, s, edited, replied } = this
    if (edited) {
      if (text === edited.content.text) return this.quit()
      try { await chat.edit(s, edited, text); this.quit() } catch (e) { toast(wrong(e, 'send')) }
      return
    }
    this.sent()
    s.typed = 0 // whoever goes on typing is told of at once
    this.put('')
    this.quit()
    chat.outbox.send(s.id, { type: 'text', text }, replied?.messagerecvId)
    chat.on.changed(s.id)
  }

  put(text) {
    this.area.value = text
    this.fit()
    this.area.focus()
  }

  fit() {
    const a = this.area
    a.style.height = 'auto'
    a.style.height = Math.min(a.scrollHeight, 160) + 'px'
    if (!this.edited) this.s.draft = a.value
    this.button.disabled = !a.value.trim()
  }

  reply(e) {
    this.quit()
    this.replied = e
    this.show('reply', t('replyTo', { name: nameOf(this.chat, e.sender) }), said(this.chat, e))
  }

  edit(e) {
    this.quit()
    this.kept = this.area.value
    this.edited = e
    this.put(e.content.text)
    this.show('edit', t('editing'), e.content.text)
  }

  show(sign, head, text) {
    this.strip.replaceChildren(icon(sign), h('span.strip-text', {}, h('b', {}, h('bdi', {}, head)), h('span', {}, h('bdi', {}, text))), iconButton('close', t('cancel'), () => this.quit()))
    this.strip.hidden = false
    this.area.focus()
  }

  quit() {
    if (this.edited) { this.edited = null; this.put(this.kept || '') }
    this.replied = null
    this.strip.hidden = true
  }

  // What is answered or edited may have been taken back meanwhile.
  paint() {
    for (const e of [this.replied, this.edited]) {
      if (e && this.s.entries && !this.s.entries.get(e.seq)?.content) this.quit()
    }
    if (!this.fitted) { this.fitted = true; this.fit() }
  }

  close() { if (this.edited) this.quit() }
}
