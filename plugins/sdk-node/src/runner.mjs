import { BotError, ackOf, clean } from './errors.mjs'
import { Context } from './context.mjs'

const again = 10_000 // milliseconds between two signs of work; the host waits 30 s for one
const patience = 60_000 // no call takes a host longer

/**
 * Runs a bot over a connection: send gives a BotFrame to the host (and waits while it does
 * not read); what the host says is given to frame. Frames are as bot.proto has them, in
 * camelCase, 64-bit numbers as strings.
 */
export class Runner {
  welcome; config = {}
  #bot; #send; #calls = new Map(); #next = 0; #events = new Map(); #running = 0; #drain = false
  #started; #start; #over = new AbortController()

  constructor(bot, send) {
    this.#bot = bot
    this.#send = send
    this.#started = new Promise((done) => { this.#start = done })
  }

  /** What the bot says first. */
  describe() {
    const b = this.#bot
    return {
      protocol: 1, id: b.id, version: b.version ?? '0.0.0', scopes: b.scopes ?? [],
      personas: b.personas ?? [{ handle: '', name: b.name ?? b.id, about: b.about ?? '', avatar: b.avatar ?? '', ai: !!b.ai }],
      commands: (b.commands ?? []).map((c) => ({
        name: c.name, help: c.help ?? '', helpIn: c.helpIn ?? {}, destructive: c.destructive ?? false, readOnly: c.readOnly ?? false,
        persona: c.persona ?? '',
        args: (c.args ?? []).map((a) => ({
          name: a.name, type: a.type ?? 'word', help: a.help ?? '', helpIn: a.helpIn ?? {}, choices: a.choices ?? [],
          required: !a.optional && a.default === undefined, std: a.default === undefined ? '' : String(a.default), min: a.min ?? 0, max: a.max ?? 0,
        })),
      })),
      configSchema: b.config ? JSON.stringify({ type: 'object', properties: b.config, additionalProperties: false }) : '',
      parallel: b.parallel ?? 0, ordering: { session: 0, user: 1, none: 2 }[b.ordering ?? 'session'],
      maxEventAgeMs: b.maxEventAge === Infinity ? -1 : b.maxEventAge ?? 0,
      moderates: Boolean(b.moderate), sdk: 'node/1.0.0',
    }
  }

  send(frame) { return this.#send(frame) }

  /** Makes a call and waits for its Result. */
  ask(call, signal) {
    const id = ++this.#next
    return new Promise((done, fail) => {
      const end = (f) => (value) => {
        clearTimeout(late)
        this.#calls.delete(id)
        signal?.removeEventListener('abort', stop)
        f(value)
      }
      const stop = () => end(fail)(signal.reason)
      const late = setTimeout(() => end(fail)(new BotError('BUSY', 'the host did not answer within a minute')), patience)
      signal?.addEventListener('abort', stop)
      this.#calls.set(id, { done: end(done), fail: end(fail) })
      Promise.resolve(this.send({ call: { ...call, id } })).catch(end(fail))
    })
  }

  /** Takes one frame of the host's; what it does not know it ignores. Throws when the host refuses the bot. */
  frame(f) {
    if (f.welcome) this.#welcomed(f.welcome)
    else if (f.refused) throw new BotError(f.refused.code || 'DENIED', f.refused.reason)
    else if (f.event) this.#run(() => this.#event(f.event))
    else if (f.cancel) this.#events.get(f.cancel.event)?.stop()
    else if (f.result) this.#result(f.result)
    else if (f.moderate) this.#run(() => this.#moderate(f.moderate))
    else if (f.drain) { this.#drain = true; this.#run(async () => {}) }
    else if (f.ping) this.send({ pong: { n: f.ping.n } })
  }

  /** The connection is over: everything that still runs is told. */
  end() {
    const gone = new Error('the host is gone')
    this.#over.abort(gone)
    for (const { fail } of [...this.#calls.values()]) fail(gone)
  }

  #welcomed(w) {
    if (this.welcome) return
    this.welcome = w
    for (const [name, s] of Object.entries(this.#bot.config ?? {})) if (s.default !== undefined) this.config[name] = s.default
    if (w.config) Object.assign(this.config, JSON.parse(w.config))
    this.#run(async () => {
      await this.#bot.onStart?.(this.#context({}))
      this.#start()
    }).catch((err) => { this.failed?.(err) })
  }

  #result(r) {
    const wait = this.#calls.get(Number(r.id))
    if (!wait) return
    if (r.code) wait.fail(new BotError(r.code, r.error, Number(r.retryAfterMs)))
    else wait.done(r)
  }

  /** Runs f beside the frames; the last to end tells a host that drains. */
  async #run(f) {
    this.#running++
    try {
      await f()
    } finally {
      if (--this.#running === 0 && this.#drain) this.send({ drained: {} })
    }
  }

  #context(e) {
    const abort = new AbortController()
    this.#over.signal.addEventListener('abort', () => abort.abort(this.#over.signal.reason), { once: true, signal: abort.signal })
    return new Context(this, e, abort)
  }

  #handler(c) {
    const b = this.#bot
    switch (c.kind) {
      case 'message': return b.onMessage
      case 'command':
      case 'tool': {
        const cmd = (b.commands ?? []).find((x) => x.name === c.command)
        if (!cmd?.run) return undefined
        const args = {}
        for (const a of cmd.args ?? []) args[a.name] = c.args[a.name] ?? a.default
        return () => cmd.run(c, args)
      }
      case 'action': return b.actions?.[c.action] ?? b.onAction
      case 'added': return b.onAdded
      case 'removed': return b.onRemoved
      case 'edited': return b.onEdited
      case 'recalled': return b.onRecalled
      case 'schedule': return b.onSchedule
      case 'webhook': return b.onWebhook
    }
    return undefined
  }

  async #event(e) {
    if (this.#events.has(e.id)) { // the host is impatient: the first one is still at it
      await this.send({ working: { event: e.id } })
      return
    }
    const c = this.#context(e)
    this.#events.set(e.id, c)
    const working = setInterval(() => this.send({ working: { event: e.id } }), again)
    let err
    try {
      await this.#started
      await this.#handler(c)?.(c)
    } catch (thrown) {
      err = thrown ?? new Error('something undefined was thrown')
      if (!c.stopped) c.log(err?.stack ?? err)
    }
    if (c.stopped && err === c.signal.reason) err = undefined // it did what it was told
    try {
      for (const s of c.streams) {
        if (err === undefined) await s.close()
        else if (ackOf(e.id, err).drop) await s.fail(err)
        else s.abandon()
      }
    } catch (thrown) {
      err ??= thrown
    }
    clearInterval(working)
    this.#events.delete(e.id)
    if (!this.#over.signal.aborted) await this.send({ ack: ackOf(e.id, err) })
  }

  async #moderate(m) {
    await this.#started
    try {
      const v = await this.#bot.moderate?.({
        session: m.session, sessionType: m.sessionType, sender: m.sender, text: m.text, files: m.files ?? [], byBot: m.draft,
        locale: this.welcome?.locale ?? 'en', global: this.#context({}).global,
      })
      await this.send({ verdict: { id: m.id, verdict: v?.verdict ?? 'allow', text: clean(v?.text), reason: clean(v?.reason) } })
    } catch (err) { // no answer: the host does what it does when a moderator is silent
      console.error(new Date().toISOString(), 'moderate failed', err?.stack ?? err)
    }
  }
}
