import { mkdtempSync } from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import grpc from '@grpc/grpc-js'
import protoLoader from '@grpc/proto-loader'
import { Runner } from './runner.mjs'

const maxMessage = 20 << 20 // botv1.MaxMessage
const cookie = ['TROUPE_PLUGIN', 'bot-5d1f3c']
const raw = { requestStream: false, responseStream: false, requestDeserialize: (b) => b, responseSerialize: (b) => b }

/**
 * Runs a bot as a plugin's process. The process ends when its host does: by the end of
 * the stream, or of the pipe in TROUPE_LIFELINE. What is printed goes to the log.
 */
export function serve(bot) {
  check(bot)
  if (process.env[cookie[0]] !== cookie[1]) {
    console.error(`${process.argv[1]} is a bot: it is run by Troupe. See "troupe bot dev".`)
    process.exit(1)
  }
  process.on('SIGINT', () => {}) // it is meant for the host
  lifeline(process.env.TROUPE_LIFELINE)

  const { Bot } = grpc.loadPackageDefinition(
    protoLoader.loadSync(fileURLToPath(new URL('../bot.proto', import.meta.url)), { longs: String, defaults: true, oneofs: true }),
  ).troupe.bot.v1
  const server = new grpc.Server({ 'grpc.max_receive_message_length': maxMessage, 'grpc.max_send_message_length': maxMessage })
  let met = false
  server.addService(Bot.service, {
    Connect(stream) {
      if (met) return stream.emit('error', { code: grpc.status.FAILED_PRECONDITION, details: 'the bot has its host already' })
      met = true
      connect(bot, stream)
    },
  })
  // What go-plugin asks for besides, as bytes: SERVING, and a Shutdown that is obeyed.
  server.addService({ Check: { path: '/grpc.health.v1.Health/Check', ...raw } }, { Check: (_, answer) => answer(null, Buffer.from([8, 1])) })
  server.addService({ Shutdown: { path: '/plugin.GRPCController/Shutdown', ...raw } }, {
    Shutdown: (_, answer) => { answer(null, Buffer.alloc(0)); setTimeout(() => process.exit(0), 20) },
  })

  const dir = process.env.PLUGIN_UNIX_SOCKET_DIR || mkdtempSync(path.join(os.tmpdir(), 'bot'))
  const socket = path.join(dir, `plugin${process.pid}`)
  server.bindAsync(`unix:${socket}`, grpc.ServerCredentials.createInsecure(), (err) => {
    if (err) {
      console.error(err)
      process.exit(1)
    }
    process.stdout.write(`1|1|unix|${socket}|grpc|\n`)
    process.stdout.write = process.stderr.write.bind(process.stderr) // nobody reads it from here on
  })
}

function connect(bot, stream) {
  const exit = (code) => setTimeout(() => process.exit(code), 50)
  let tail = Promise.resolve()
  // One frame after the other, and no further while the host does not read.
  const send = (frame) => (tail = tail.then(() => new Promise((done) => {
    if (stream.destroyed || stream.writableEnded || stream.write(frame)) return done()
    const go = () => { stream.off('drain', go).off('close', go); done() }
    stream.on('drain', go).on('close', go)
  })))
  const runner = new Runner(bot, send)
  const over = (code = 0) => { runner.end(); exit(code) }
  runner.failed = (err) => { console.error('onStart failed', err); stream.end(); over(1) }
  stream.on('data', (f) => {
    try {
      runner.frame(f)
    } catch (err) {
      const asked = err.code === 'DESCRIBED' // somebody wanted to know what the bot is, and no more
      if (!asked) console.error('the host does not want this bot:', err.message)
      stream.end()
      over(asked ? 0 : 3)
    }
  })
  stream.on('end', () => { stream.end(); over() })
  stream.on('cancelled', () => over())
  stream.on('error', () => over())
  send({ describe: runner.describe() })
}

const handle = /^[a-z][a-z0-9-]{0,31}$/

function check(bot) {
  const bad = (what, name) => { throw new Error(`${what} is 1 to 32 of a-z, 0-9 and -, beginning with a letter; this is "${name}"`) }
  if (!handle.test(bot?.id ?? '')) bad("a bot's id", bot?.id)
  for (const c of bot.commands ?? []) if (!handle.test(c.name ?? '')) bad("a command's name", c.name)
}

/** Ends the process when the pipe with that number does: nobody writes to it. */
function lifeline(fd) {
  if (!/^\d+$/.test(fd ?? '')) return
  const pipe = new net.Socket({ fd: Number(fd), readable: true, writable: false })
  for (const event of ['end', 'close', 'error']) pipe.on(event, () => process.exit(0))
  pipe.resume()
}
