import { createServer, type ServerResponse, type Server as Http } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { until } from '../../client/test/server.js'

/** One answer that a bot waits for: the test says it word by word. */
export class Answer {
  gone = false
  constructor(readonly question: string, readonly to: ServerResponse) { to.on('close', () => { this.gone = true }) }
  #event(o: object): void { this.to.write(`data: ${JSON.stringify({ id: 'a', object: 'chat.completion.chunk', created: 1, model: 'scripted', ...o })}\n\n`) }
  say(...words: string[]): void { for (const content of words) this.#event({ choices: [{ index: 0, delta: { content }, finish_reason: null }] }) }
  end(): void {
    this.#event({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })
    this.#event({ choices: [], usage: { prompt_tokens: 20, completion_tokens: 10, total_tokens: 30 } })
    this.to.end('data: [DONE]\n\n')
  }
}

/** A server that speaks as OpenAI's does, and says what the test tells it to, until the test ends. */
export class Model {
  url = ''
  readonly asked: Answer[] = []
  #http!: Http

  static async start(): Promise<Model> {
    const m = new Model()
    m.#http = createServer((q, to) => {
      let body = ''
      q.on('data', d => { body += d })
      q.on('end', () => {
        const f = JSON.parse(body || '{}')
        const last = [...(f.messages ?? [])].reverse().find((x: { role: string }) => x.role === 'user')
        const question = typeof last?.content === 'string' ? last.content : JSON.stringify(last?.content ?? '')
        if (!f.stream) {
          to.writeHead(200, { 'Content-Type': 'application/json' })
          to.end(JSON.stringify({ id: 'a', object: 'chat.completion', created: 1, model: 'scripted', choices: [{ index: 0, message: { role: 'assistant', content: 'ok' }, finish_reason: 'stop' }], usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } }))
          return
        }
        to.writeHead(200, { 'Content-Type': 'text/event-stream' })
        to.flushHeaders()
        m.asked.push(new Answer(question, to))
      })
    })
    await new Promise<void>(done => m.#http.listen(0, '127.0.0.1', done))
    m.url = `http://127.0.0.1:${(m.#http.address() as AddressInfo).port}/v1`
    onTestFinished(async () => { m.#http.closeAllConnections(); m.#http.close() })
    return m
  }

  /** The nth answer that was asked for. */
  async nth(n: number): Promise<Answer> {
    await until(`the model to be asked ${n} times`, () => this.asked.length >= n, 60_000)
    return this.asked[n - 1]!
  }
}
