import { describe, expect, it } from 'vitest'
import { composing, sends } from '../src/composer/enter'
import { mentionAt, mentioned } from '../src/composer/mention'
import { shrink } from '../src/composer/recording'
import { en } from '../src/i18n/en'
import { zhCN } from '../src/i18n/zh-CN'
import { resolveLocale, translator } from '../src/i18n/i18n'
import { marked } from '../src/panels/marks'
import { decodeBlurhash } from '../src/text/blurhash'
import { dayLabel, listTime } from '../src/text/dates'
import { pieces, safeHref } from '../src/text/links'
import { bars } from '../src/text/peaks'
import { bigEmoji, bytes, clean, clock, initials, looksMarkdown, middle } from '../src/text/plain'
import { place } from '../src/ui/place'

const key = (o: Partial<KeyboardEvent>) => ({ key: 'Enter', shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, isComposing: false, keyCode: 13, ...o }) as KeyboardEvent

describe('Enter', () => {
  const desk = { enter: 'send', touch: false } as const
  it('sends, and with Shift makes a line', () => expect([sends(key({}), desk), sends(key({ shiftKey: true }), desk)]).toEqual([true, false]))
  it('belongs to the input method while it composes, also in Safari', () => {
    expect([sends(key({ isComposing: true }), desk), sends(key({ keyCode: 229 }), desk), composing(key({ keyCode: 229 }))]).toEqual([false, false, true])
  })
  it('makes a line on touch screens, where Ctrl still sends', () => expect([sends(key({}), { enter: 'send', touch: true }), sends(key({ ctrlKey: true }), { enter: 'send', touch: true })]).toEqual([false, true]))
  it('makes a line where the host wants that', () => expect([sends(key({}), { enter: 'newline', touch: false }), sends(key({ shiftKey: true }), { enter: 'newline', touch: false })]).toEqual([false, true]))
})

describe('a mention', () => {
  it('begins at an @, also right behind Chinese', () => {
    expect(mentionAt('你好@林', 4)).toEqual({ from: 2, begin: '林' })
    expect(mentionAt('@', 1)).toEqual({ from: 0, begin: '' })
  })
  it('is none in an address, nor behind a blank', () => expect([mentionAt('me@example.com', 14), mentionAt('@林 ', 3)]).toEqual([null, null]))
  it('counts while its name stands in the text', () => expect(mentioned('@林晚舟 来吗', [{ user: 'a', name: '林晚舟' }, { user: 'b', name: '周' }])).toEqual(['a']))
})

describe('texts', () => {
  it('have the same keys and values in all languages', () => {
    expect(Object.keys(zhCN).sort()).toEqual(Object.keys(en).sort())
    const values = (x: unknown) => [...new Set(JSON.stringify(x).match(/\{\w+\}/g) ?? [])].sort()
    // Chinese needs no number where English counts, and the other way round.
    for (const k of Object.keys(en) as (keyof typeof en)[]) for (const v of values(zhCN[k])) expect(values(en[k]), k).toContain(v)
  })
  it('know plurals', () => {
    const t = translator('en', en)
    expect([t('unread.line', { n: 1 }), t('unread.line', { n: 3 })]).toEqual(['1 new message', '3 new messages'])
  })
  it('let the host say it differently', () => expect(translator('zh-CN', zhCN, { 'list.title': '会话' })('list.title')).toBe('会话'))
  it('are Chinese for all who read Chinese, else English', () => expect([resolveLocale('zh-TW'), resolveLocale('zh'), resolveLocale('de')]).toEqual(['zh-CN', 'zh-CN', 'en']))
})

describe('links', () => {
  it('lead to http, https, mailto and tel only', () => {
    for (const ok of ['https://a.b/c?d#e', 'http://localhost:8080', 'mailto:a@b.c', 'tel:+8610']) expect(safeHref(ok), ok).toBeDefined()
    for (const bad of ['javascript:x', ' javascript:x', 'data:text/html,x', '//a.b', '/a', 'ftp://a', 'https://u:p@a.b', 'https://a.b/\u202egpj', 'http://', '']) expect(safeHref(bad), bad).toBeUndefined()
  })
  it('are found in a text without what closes the sentence', () => {
    expect(pieces('see https://a.b/c_(d). ok (https://x.y)').filter(p => p.t === 'link').map(p => p.text)).toEqual(['https://a.b/c_(d)', 'https://x.y'])
  })
})

describe('small things', () => {
  it('tell emoji from words', () => expect(['👍', '👩‍👩‍👧‍👦 ❤️', '🇨🇳', '12', 'ok 👍', '👍👍👍👍'].map(bigEmoji)).toEqual([true, true, true, false, false, false]))
  it('tell markdown from plain writing', () => {
    expect(['**a**', '`x`', '- a', '1. a', '> q', '[a](b)', '```\nx'].map(looksMarkdown)).toEqual([true, true, true, true, true, true, true])
    expect(['2*3*4', 'a_b_c', '#标签', '3.5 公里', '- ', 'C# 好', '价格 > 100'].map(looksMarkdown)).toEqual([false, false, false, false, false, false, false])
  })
  it('take out of names what turns the writing', () => expect(clean('a\u202eb\nc')).toBe('abc'))
  it('shorten names in their middle', () => expect(middle('十里琅珰环线二零二六年春季实测版本最终稿.gpx', 20)).toMatch(/^十里.*….*\.gpx$/))
  it('write sizes and lengths', () => expect([bytes(1_482_000, 'en'), bytes(999, 'en'), clock(75_000), clock(3_661_000)]).toEqual(['1.5 MB', '999B', '1:15', '1:01:01']))
  it('make initials of names in any script', () => expect(['林晚舟', '周末爬山', 'Sara Lindqvist', 'amir', '', '👻'].map(initials)).toEqual(['晚舟', '爬山', 'SL', 'A', '?', '👻']))
  it('say days as people do', () => {
    const now = new Date(2026, 2, 14, 15, 42).getTime(), day = 86_400_000
    expect([listTime(now - 60_000, now, 'zh-CN'), listTime(now - day, now, 'zh-CN'), listTime(now - 2 * day, now, 'zh-CN'), listTime(now - 400 * day, now, 'zh-CN')]).toEqual(['15:41', '昨天', '周四', '25/2/7'])
    expect([dayLabel(now, now, 'zh-CN'), dayLabel(now - day, now, 'en')]).toEqual(['今天', 'Yesterday'])
  })
  it('cut a snippet at its marks', () => {
    expect(marked('九溪公交站', [[2, 4], [3, 5], [0, 1]])).toEqual([{ text: '九', hit: true }, { text: '溪', hit: false }, { text: '公交', hit: true }, { text: '站', hit: true }])
    expect(marked('ab', [[1, 99], [-3, 0]])).toEqual([{ text: 'a', hit: false }, { text: 'b', hit: true }])
  })
  it('make 64 peaks and 40 bars of anything', () => {
    expect(shrink([0, 0.5, 2]).length).toBe(64)
    expect(Math.max(...shrink([0, 0.5, 2]))).toBe(255)
    expect([bars(undefined).length, bars([]).length, bars([1, 255]).length]).toEqual([40, 40, 40])
  })
  it('decode a blurhash, and nothing else', () => {
    expect(decodeBlurhash('LEHV6nWB2yk8pyo0adR*.7kCMdnj', 4, 4)?.length).toBe(64)
    expect(['', 'x', 'LEHV6nWB2yk8', 'LEHV6nWB2yk8pyo0adR*.7kCMdn<'].map(h => decodeBlurhash(h, 4, 4))).toEqual([undefined, undefined, undefined, undefined])
  })
  it('place a menu above where there is no room below, and within the view', () => {
    const view = { width: 400, height: 600 }, box = { width: 200, height: 300 }
    expect(place({ left: 350, right: 390, top: 500, bottom: 540, width: 40, height: 40 }, box, view)).toMatchObject({ side: 'above', left: 192, top: 194 })
    expect(place({ left: 10, right: 50, top: 20, bottom: 60, width: 40, height: 40 }, box, view)).toMatchObject({ side: 'below', left: 10, top: 66 })
  })
})
