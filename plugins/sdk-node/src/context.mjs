import http from 'node:http'
import { Readable } from 'node:stream'
import { BotError, clean, codeOf, drop } from './errors.mjs'
import { Card, contentOf } from './card.mjs'
import { KV } from './kv.mjs'
import { Stream } from './stream.mjs'

const json = (text) => { try { return text ? JSON.parse(text) : undefined } catch { return undefined } }
const person = (p) => ({ user: p?.user ?? '', name: p?.name ?? '', kind: p?.kind ?? '', role: p?.role ?? '', isAdmin: ['admin', 'owner'].includes(p?.role) })

/** An event, and all that a bot can do about it. Its signal ends when a person presses Stop. */
export class Context {
  #runner; #abort; #said = { n: 0 }
  streams = []
  stopped = false

  constructor(runner, e, abort) {
    this.#runner = runner
    this.#abort = abort
    this.signal = abort.signal
    this.id = e.id ?? ''
    this.kind = e.kind ?? ''
    this.session = e.session ?? ''
    this.sessionType = e.sessionType ?? ''
    this.seq = Number(e.seq ?? 0)
    this.message = e.message ?? ''
    this.attempt = e.attempt ?? 0
    this.hops = e.hops ?? 0
    this.to = e.to ?? ''
    this.sender = person(e.sender)
    this.text = e.text ?? ''
    this.content = json(e.content)
    this.files = (e.files ?? []).map((f) => ({ id: f.file, name: f.name, mime: f.mime, size: Number(f.size) }))
    this.replyTo = e.replyTo ?? undefined
    this.mentioned = e.mentioned ?? false
    this.command = e.command ?? ''
    this.args = json(e.args) ?? {}
    this.action = e.action ?? ''
    this.values = json(e.values) ?? {}
    this.body = e.body ?? ''
    this.at = new Date(Number(e.createdAt ?? 0))
    this.traceparent = e.traceparent ?? ''
    this.locale = e.locale || runner.welcome?.locale || 'en'
    this.late = e.late ?? false
    this.config = runner.config
  }

  get isGroup() { return this.sessionType !== '' && this.sessionType !== 'p2p' }
  get self() { return this.to || this.#runner.welcome?.selves?.[0]?.user || '' }
  get kv() { return new KV(this, this.session) }
  get global() { return new KV(this, '-') }
  granted(scope) { return (this.#runner.welcome?.scopes ?? []).includes(scope) }
  say(zh, en) { return this.locale.toLowerCase().startsWith('zh') ? zh : en }
  now() { return new Date() }
  log(...parts) { console.error(new Date().toISOString(), this.id, ...parts) }

  /** The same event seen from another session, of which the bot is a member. */
  in(session) {
    const c = Object.create(this)
    c.session = session
    c.message = ''
    return c
  }

  /** Stop: the signal ends, and what was written so far is to stay. */
  stop() {
    this.stopped = true
    this.#abort.abort(new Error('stopped by a person'))
  }

  #call(call) { return { event: this.id, session: this.session, as: this.to, ...call } }

  /** Makes a call of bot.proto, and gives its Result. What the host puts off for seconds is asked again. */
  async do(call, { afterStop = false } = {}) {
    for (let tries = 1; ; tries++) {
      if (!afterStop) this.signal.throwIfAborted()
      try {
        return await this.#runner.ask(this.#call(call), afterStop ? undefined : this.signal)
      } catch (err) {
        const put = err instanceof BotError && ['RATE_LIMITED', 'BUSY'].includes(err.code) && err.retryAfter > 0 && err.retryAfter <= 10_000
        if (!put || tries === 4) throw err
        await new Promise((done, fail) => {
          const t = setTimeout(done, err.retryAfter)
          this.signal.addEventListener('abort', () => { clearTimeout(t); afterStop ? done() : fail(this.signal.reason) }, { once: true })
        })
      }
    }
  }

  /** Makes a call that nobody answers. */
  async tell(call) {
    this.signal.throwIfAborted()
    await this.#runner.send({ call: this.#call(call) })
  }

  #next() { return this.id ? ++this.#said.n : 0 }

  async reply(text) { return this.post({ text }) }

  async post(p) {
    const content = contentOf(p)
    const { posted } = await this.do({
      post: {
        n: p.key ? 0 : p.n ?? this.#next(), key: p.key ?? '', text: content ? '' : clean(p.text), content,
        replyTo: p.replyTo ?? '', mentions: p.mentions ?? [], expire: p.expire ?? 0, variantOf: p.variantOf ?? '',
      },
    })
    return posted && { ...posted, seq: Number(posted.seq) }
  }

  stream(options) {
    const s = new Stream(this, this.#next(), options)
    this.streams.push(s)
    return s
  }

  async typing() { await this.tell({ typing: {} }) }
  async whisper(text) { await this.whisperTo('', { text }) }
  async whisperTo(user, p) {
    const content = contentOf(p)
    await this.do({ whisper: { n: p.n ?? this.#next(), user, text: content ? '' : clean(p.text), content } })
  }
  async edit(message, p) {
    const content = contentOf(p)
    await this.do({ edit: { message, text: content ? '' : clean(p.text), content } })
  }
  async recall(message) { await this.do({ recall: { message } }) }
  async react(reaction, { message = this.message, remove = false } = {}) { await this.do({ react: { message, reaction: clean(reaction), removed: remove } }) }
  async silence(user, until) { await this.do({ silence: { user, until: until ? until.getTime() : 0 } }) }

  async card(card) { return this.post({ card }) }
  /** Shows a card where the one is whose button was pressed. */
  async update(card) {
    if (!this.replyTo?.message) throw new BotError('BAD_REQUEST', 'update is for actions: the event answers no card')
    await this.edit(this.replyTo.message, { card })
  }
  /** Update with a card that can't be pressed any more. */
  async lock(card) {
    const locked = Object.assign(new Card(), card)
    locked.done = { action: this.action, by: this.sender.user, at: this.now().getTime() }
    await this.update(locked)
  }

  async history(limit = 50, before = this.seq) {
    const { entries } = await this.do({ history: { before, limit } })
    return (entries?.lines ?? []).map((l) => ({
      message: l.message, seq: Number(l.seq), sender: person(l.sender), text: l.text, content: json(l.content),
      replyTo: l.replyTo, at: new Date(Number(l.createdAt)), mine: l.mine,
    }))
  }
  async *members() {
    for (let cursor = ''; ;) {
      const { members } = await this.do({ members: { cursor } })
      for (const p of members?.people ?? []) yield person(p)
      cursor = members?.next ?? ''
      if (!cursor) return
    }
  }

  async schedule(id, at, body = '') {
    await this.do({ schedule: { id, at: new Date(at).getTime(), body: typeof body === 'string' ? clean(body) : JSON.stringify(body) } })
  }
  async unschedule(id) {
    try { await this.do({ unschedule: { id } }) } catch (err) { if (codeOf(err) !== 'NOT_FOUND') throw err }
  }
  /** The body as JSON: of a schedule what was kept, of a webhook what came. */
  json() { try { return JSON.parse(this.body) } catch (err) { throw drop(err) } }

  async file(id) { const { file } = await this.do({ fileGet: { file: id } }); return { id: file.file, name: file.name, mime: file.mime, data: file.data } }
  async upload(name, mime, data) { const { file } = await this.do({ filePut: { name: clean(name), mime, data } }); return file.file }
  async handoff(summary, user = '') { await this.do({ handoff: { to: 'human', summary: clean(summary), user } }) }
  async takeOver() { await this.do({ handoff: { to: 'bot' } }) }
  async tools() { const { tools } = await this.do({ tools: {} }); return (tools?.tools ?? []).map((t) => ({ ...t, schema: json(t.schema) })) }
  async callTool(name, args) { const { tool } = await this.do({ toolCall: { name, args: JSON.stringify(args ?? {}) } }); return tool }
  async used(model, promptTokens, completionTokens) { const { usage } = await this.do({ usage: { model, promptTokens, completionTokens } }); return Number(usage?.tokens ?? -1) }
  async secret(name) { const { secret } = await this.do({ secret: { name } }); return secret?.value ?? '' }
  async fetch(url, { method = 'GET', headers = {}, body = '', sign = '' } = {}) {
    const { fetched } = await this.do({ fetch: { url, method, header: headers, body: Buffer.from(body), sign } })
    return fetched
  }
  async makeHook(name) { const { hooks } = await this.do({ hookMake: { name } }); return hooks?.hooks?.[0] }
  async hooks() { const { hooks } = await this.do({ hookList: {} }); return hooks?.hooks ?? [] }
  async dropHook(id) { await this.do({ hookDrop: { id } }) }

  /** The installation's model, for any client of the OpenAI API: its baseURL, apiKey and fetch. undefined: there is none. */
  model() {
    const { modelSocket: socketPath, modelToken } = this.#runner.welcome ?? {}
    if (!socketPath) return undefined
    const about = { 'Troupe-Event': this.id, 'Troupe-Session': this.session, 'Troupe-User': this.sender.user, traceparent: this.traceparent }
    return { baseURL: 'http://model/v1', apiKey: modelToken, fetch: (url, init = {}) => over(socketPath, url, init, about) }
  }
}

/** fetch by a unix socket. */
function over(socketPath, url, init, about) {
  const { pathname, search, host } = new URL(url)
  const headers = { host, ...Object.fromEntries(new Headers(init.headers)) }
  for (const [name, value] of Object.entries(about)) if (value) headers[name] = value
  return new Promise((done, fail) => {
    const r = http.request({ socketPath, path: pathname + search, method: init.method ?? 'GET', headers, signal: init.signal ?? undefined }, (res) => {
      const empty = res.statusCode === 204 || res.statusCode === 304
      done(new Response(empty ? null : Readable.toWeb(res), { status: res.statusCode, headers: flat(res.headers) }))
    })
    r.on('error', fail)
    r.end(init.body ?? undefined)
  })
}

const flat = (headers) => Object.entries(headers).map(([name, value]) => [name, String(value)])
