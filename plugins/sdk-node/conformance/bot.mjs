// The conformance bot, as plugins/sdk/conformance/doc.go wants it.
import { Card, drop, serve } from '../src/index.mjs'

serve({
  id: 'conformance', version: '1.2.3', name: 'Conformance', scopes: ['kv', 'moderate'], parallel: 8,
  config: { greeting: { type: 'string', default: 'hello' } },
  commands: [{
    name: 'sum', help: 'Add two numbers', helpIn: { 'zh-CN': '两数相加' }, readOnly: true,
    args: [{ name: 'a', type: 'integer' }, { name: 'b', type: 'integer', default: 1 }, { name: 'in', type: 'duration', optional: true }],
    run: (c, { a, b, in: wait = 0 }) => c.reply(`${a + b} ${wait}`),
  }],
  async onMessage(c) {
    const [, word, rest] = /^(\S*) ?([^]*)$/.exec(c.text)
    switch (word) {
      case 'echo': await c.reply(rest); break
      case 'twice': await c.reply(rest); await c.reply(rest); break
      case 'whisper': await c.whisper(rest); break
      case 'stream': {
        const s = c.stream()
        for (const letter of rest) await s.write(letter)
        await s.close()
        break
      }
      case 'slow': {
        await c.stream().write('begin')
        await new Promise((_, stop) => c.signal.addEventListener('abort', () => stop(c.signal.reason)))
        break
      }
      case 'pause': await new Promise((done) => setTimeout(done, Number(rest))); await c.reply('rested'); break
      case 'fail': throw new Error(`failed: ${rest}`)
      case 'drop': throw drop(new Error(`dropped: ${rest}`))
      case 'panic': throw new TypeError(`panicked: ${rest}`)
      case 'noise': console.log('noise '.repeat(40_000)); await c.reply('quiet again'); break
      case 'greet': await c.reply(c.config.greeting); break
      case 'count': await c.reply(String(await c.kv.update('count', (n = 0) => n + 1))); break
      case 'who': {
        const names = []
        for await (const p of c.members()) names.push(p.name)
        await c.reply(names.join(' '))
        break
      }
      case 'card': await c.card(new Card(rest).row('a', '1').primary('press', 'Press')); break
      case 'later': await c.schedule('later', 2_000_000_000_000, rest); break
    }
  },
  actions: { press: (c) => c.lock(new Card(`pressed ${c.values.how}`)) },
  onSchedule: (c) => c.reply(`${c.action} ${c.body}`),
  moderate: ({ text }) => ({
    bad: { verdict: 'reject', reason: 'because' },
    rude: { verdict: 'rewrite', text: '****', reason: 'because' },
    odd: { verdict: 'hold', reason: 'because' },
  })[text],
})
