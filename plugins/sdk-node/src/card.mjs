import { clean } from './errors.mjs'

/**
 * A message with rows, buttons and a form:
 * new Card('Lunch?').row('noodles', '3').button('vote:1', 'Noodles')
 */
export class Card {
  constructor(title = '') {
    this.title = title
    this.text = ''
    this.url = ''
    this.image = ''
    this.rows = []
    this.buttons = []
    this.form = undefined
    this.done = undefined
    this.data = {}
  }
  say(text) { this.text = text; return this }
  row(label, value) { this.rows.push({ label, value: String(value) }); return this }
  button(action, label, style) { this.buttons.push({ action, label, ...(style && { style }) }); return this }
  primary(action, label) { return this.button(action, label, 'primary') }
  danger(action, label) { return this.button(action, label, 'danger') }
  link(url, label) { this.buttons.push({ url, label }); return this }
  ask(action, submit, ...fields) { this.form = { action, submit, fields }; return this }

  /** The card as clients get it. */
  content() {
    const data = { ...this.data }
    if (this.rows.length) data.rows = this.rows
    if (this.buttons.length) data.buttons = this.buttons
    if (this.form) data.form = this.form
    if (this.done) data.done = this.done
    const content = { type: 'card' }
    for (const [key, value] of [['title', this.title], ['text', this.text], ['url', this.url], ['thumb', this.image]]) {
      if (value) content[key] = clean(value)
    }
    if (Object.keys(data).length) content.data = data
    return JSON.stringify(content)
  }
}

/** The JSON of what is not plain text; '' of what is. */
export function contentOf(post) {
  if (post.card) return (post.card instanceof Card ? post.card : Object.assign(new Card(), post.card)).content()
  if (post.content !== undefined) return JSON.stringify(post.content)
  if (post.markdown) return JSON.stringify({ type: 'text', text: clean(post.text), data: { format: 'md' } })
  return ''
}
