import { h, render, type VNode } from 'vue'
import { describe, expect, it } from 'vitest'
import { blocks, renderBlock, type Options } from '../src/text/markdown'

const options: Options = {
  code: (text, lang) => h('pre', { 'data-lang': lang }, text),
  mention: (text, user) => h('button', { 'data-user': user }, text),
  mentions: [{ user: 'u_lin', name: '林晚舟' }],
}
function draw(text: string, o = options): HTMLElement {
  const box = document.createElement('div')
  render(h('div', blocks(text).map(b => renderBlock(b.token, o)).flat() as VNode[]), box)
  return box
}

// What people have tried on chats that draw markdown as HTML.
const hostile = [
  '<script>alert(1)</script>', '<img src=x onerror=alert(1)>', '<svg onload=alert(1)>', '<a href="javascript:alert(1)">x</a>', '<iframe src="javascript:alert(1)"></iframe>',
  '[x](javascript:alert(1))', '[x](JaVaScRiPt:alert(1))', '[x](java\tscript:alert(1))', '[x](&#106;avascript:alert(1))', '[x](data:text/html,<script>alert(1)</script>)', '[x](vbscript:x)',
  '[x](\u0001javascript:alert(1))', '![x](javascript:alert(1))', '![x](https://tracker.example/p.png)', '<javascript:alert(1)>', '[a]: javascript:alert(1)\n\n[a]', '[x](//evil.example)',
  '[x](https://good.example@evil.example)', '[x](https://evil.example\u202egpj.exe)', '```"><script>alert(1)</script>\nx\n```', '`<script>`', '**<b onclick=alert(1)>x</b>**', '| a |\n|---|\n| <img src=x onerror=alert(1)> |',
  '<style>*{display:none}</style>', '<math><mi//xlink:href="data:x,<script>alert(4)</script>">', '<form action=//evil><input name=x>', '- [ ] <input onfocus=alert(1) autofocus>', '[x](blob:https://x/1)', '[x](file:///etc/passwd)', '[x](intent://x)',
]
const allowed = new Set('DIV P STRONG EM DEL CODE PRE BR HR A UL OL LI BLOCKQUOTE TABLE THEAD TBODY TR TH TD INPUT BUTTON'.split(' '))

describe('markdown', () => {
  for (const text of hostile) {
    it(`makes nothing but its own elements and safe links of ${JSON.stringify(text.slice(0, 60))}`, () => {
      for (const el of draw(text).querySelectorAll('*')) {
        expect(allowed, el.outerHTML).toContain(el.tagName)
        for (const { name, value } of el.attributes) {
          expect(name, el.outerHTML).not.toMatch(/^on|^style$|^src/)
          if (name === 'href') expect(value).toMatch(/^(https?|mailto|tel):/)
        }
        if (el.tagName === 'A') expect(el.getAttribute('rel')).toBe('noopener noreferrer nofollow ugc')
        if (el.tagName === 'INPUT') expect(el.getAttribute('type')).toBe('checkbox')
      }
    })
  }

  it('shows raw HTML as it was typed', () => {
    expect(draw('a <b>bold</b> word').textContent).toBe('a <b>bold</b> word')
  })
  it('draws lists, tables, code, quotes and headings', () => {
    const box = draw('# T\n\n- a\n- b\n\n1. x\n\n> q\n\n| a | b |\n|--:|---|\n| 1 | 2 |\n\n```go\nfunc x() {}\n```\n\n- [x] done')
    expect([...box.querySelectorAll('ul,ol,blockquote,table,pre,input,.tp-md-h1')].length).toBe(8)
    expect(box.querySelector('pre')!.dataset.lang).toBe('go')
    expect(box.querySelector('th')!.className).toBe('tp-md-right')
  })
  it('ends a bare link before Chinese punctuation and words', () => {
    const a = draw('看这里：https://example.com/路?a=1，还有https://troupe.im。').querySelectorAll('a')
    expect([...a].map(x => x.textContent)).toEqual(['https://example.com/', 'https://troupe.im'])
  })
  it('makes buttons of mentions, in text and not in code', () => {
    const box = draw('你好 @林晚舟 和 `@林晚舟`')
    expect([...box.querySelectorAll('button')].map(b => b.dataset.user)).toEqual(['u_lin'])
  })
  it('keeps the blocks that did not change while a reply grows', () => {
    const first = blocks('# T\n\nfirst para\n\n```ts\nconst a'), next = blocks('# T\n\nfirst para\n\n```ts\nconst a = 1\n```\n\nlast', first)
    expect(next[0]).toBe(first[0])
    expect(next[1]).toBe(first[1])
    expect(next[2]).not.toBe(first[2])
    expect(next).toHaveLength(4)
  })
  it('does not hang on thousands of nested quotes and lists', () => {
    for (const text of ['>'.repeat(5000) + ' x', '- '.repeat(5000) + 'x', '*'.repeat(20_000), '['.repeat(5000), '`'.repeat(9999) + 'x', '_a'.repeat(4000)]) {
      expect(draw(text).innerHTML.length).toBeGreaterThan(0)
    }
  })
})
