import { Lexer, type Token, type Tokens } from 'marked'
import { h, type VNode } from 'vue'
import { linkRel, pieces, safeHref } from './links'

/*
 * Markdown as a tree of VNodes, never as HTML text: what the writer typed can only ever
 * become a text node or one of the elements named here. Raw HTML is shown as it was typed.
 */

export interface Block { key: string; raw: string; token: Token }
export interface Options {
  mentions?: readonly { user: string; name: string }[]
  target?: string
  code: (text: string, lang: string) => VNode
  mention: (text: string, user: string | undefined) => VNode
}
type Child = VNode | string

/**
 * blocks cuts a text into its top-level blocks. Given those of an earlier state of the same
 * text it keeps every one that did not change, so that while a reply grows only the last
 * block is drawn anew.
 */
export function blocks(text: string, before: readonly Block[] = []): Block[] {
  const tokens = lex(text)
  return tokens.filter(token => token.type !== 'space' && token.type !== 'def').map((token, i) => {
    const old = before[i]
    return old && old.raw === token.raw && old.token.type === token.type ? old : { key: `${i}`, raw: token.raw, token }
  })
}

// 32 levels of quotes or lists: no person writes more, and a page must not be hung by one that does.
const maxDepth = 32

function lex(text: string): Token[] {
  const deep = text.split('\n').some(line => (line.match(/^(?:\s{0,3}(?:>|[-*+]|\d{1,9}[.)])\s?)+/)?.[0].match(/[>*+.)-]/g)?.length ?? 0) > maxDepth)
  if (deep) return [{ type: 'paragraph', raw: text, text, tokens: [{ type: 'text', raw: text, text }] } as Token]
  return new Lexer({ gfm: true, breaks: true }).lex(text)
}

/** renderBlock draws one block. */
export function renderBlock(token: Token, o: Options): Child | Child[] {
  return block(token, o)
}

function block(token: Token, o: Options): Child | Child[] {
  switch (token.type) {
    case 'heading': {
      const { depth, tokens } = token as Tokens.Heading
      return h('p', { class: `tp-md-h tp-md-h${Math.min(depth, 4)}` }, inline(tokens, o))
    }
    case 'paragraph': return h('p', inline((token as Tokens.Paragraph).tokens, o))
    case 'text': {
      const t = token as Tokens.Text
      return t.tokens ? inline(t.tokens, o) : text(t.text, o)
    }
    case 'blockquote': return h('blockquote', flow((token as Tokens.Blockquote).tokens, o))
    case 'code': {
      const t = token as Tokens.Code
      return o.code(t.text, (t.lang ?? '').split(/\s/)[0]!.toLowerCase())
    }
    case 'hr': return h('hr')
    case 'list': return list(token as Tokens.List, o)
    case 'table': return table(token as Tokens.Table, o)
    case 'space': case 'def': return []
    default: return text(token.raw, o)
  }
}

function flow(tokens: readonly Token[], o: Options): Child[] {
  return tokens.flatMap(t => block(t, o))
}

function list(t: Tokens.List, o: Options): VNode {
  const start = t.ordered && typeof t.start === 'number' && t.start !== 1 ? { start: t.start } : {}
  return h(t.ordered ? 'ol' : 'ul', start, t.items.map(item => h('li', { class: item.task ? 'tp-md-task' : undefined }, [
    ...(item.task ? [h('input', { type: 'checkbox', checked: !!item.checked, disabled: true, 'aria-label': item.checked ? '☑' : '☐' })] : []),
    ...flow(item.tokens.filter(x => x.type !== 'checkbox'), o),
  ])))
}

function table(t: Tokens.Table, o: Options): VNode {
  const cell = (tag: 'th' | 'td') => (c: Tokens.TableCell) =>
    h(tag, { class: c.align ? `tp-md-${c.align}` : undefined }, inline(c.tokens, o))
  return h('div', { class: 'tp-md-table', tabindex: 0 }, h('table', [
    h('thead', h('tr', t.header.map(cell('th')))),
    h('tbody', t.rows.map(row => h('tr', row.map(cell('td'))))),
  ]))
}

function inline(tokens: readonly Token[], o: Options): Child[] {
  return tokens.flatMap((t): Child | Child[] => {
    switch (t.type) {
      case 'strong': return h('strong', inline((t as Tokens.Strong).tokens, o))
      case 'em': return h('em', inline((t as Tokens.Em).tokens, o))
      case 'del': return h('del', inline((t as Tokens.Del).tokens, o))
      case 'codespan': return h('code', decode((t as Tokens.Codespan).text))
      case 'br': return h('br')
      case 'escape': return (t as Tokens.Escape).text
      case 'link': return link(t as Tokens.Link, o)
      // A picture from anywhere would tell its server who reads this: it is a link here.
      case 'image': return image(t as Tokens.Image, o)
      case 'text': {
        const x = t as Tokens.Text
        return x.tokens ? inline(x.tokens, o) : text(x.text, o)
      }
      default: return text(t.raw, o)
    }
  })
}

function link(t: Tokens.Link, o: Options): Child | Child[] {
  // A bare link: ours ends before Chinese punctuation, marked's does not.
  if (!/^[[<]/.test(t.raw)) return text(t.raw, o)
  const href = safeHref(t.href)
  return href ? anchor(href, inline(t.tokens, { ...o, mentions: [] }), o, t.title) : text(t.raw, { ...o, mentions: [] })
}

function image(t: Tokens.Image, o: Options): Child | Child[] {
  const href = safeHref(t.href)
  return href ? anchor(href, [t.text || href], o, t.title) : t.raw
}

function anchor(href: string, children: Child[], o: Options, title?: string | null): VNode {
  return h('a', { href, rel: linkRel, target: o.target ?? '_blank', title: title || undefined }, children)
}

function text(raw: string, o: Options): Child[] {
  return pieces(raw, o.mentions).map(p => p.t === 'link' ? anchor(p.href!, [p.text], o)
    : p.t === 'mention' ? o.mention(p.text, p.user) : decode(p.text))
}

const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', nbsp: '\u00a0', copy: '©', hellip: '…', mdash: '—', '#39': "'" }
function decode(s: string): string {
  return s.replace(/&(amp|lt|gt|quot|nbsp|copy|hellip|mdash|#39);/g, (_, name: string) => named[name]!)
}
