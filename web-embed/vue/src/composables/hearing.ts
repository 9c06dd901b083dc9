import type { Message } from '@troupe/client'
import { previewOf } from '../message/preview'
import type { Chat } from './chat'

const most = 3 // messages of one moment that are read out
const moment = 300 // ms

/**
 * hearing tells a screen reader what comes into the open conversation: few messages one by one and in order, many by
 * their number. It gives the way to stop.
 */
export function hearing(chat: Chat): () => void {
  const { client, t } = chat
  let heard: Message[] = [], timer: ReturnType<typeof setTimeout> | undefined
  function tell() {
    timer = undefined
    const all = heard.filter(m => m.conversation === chat.current.value)
    heard = []
    if (all.length > most) chat.announce(t('unread.line', { n: all.length }))
    else for (const m of all) chat.announce(m.whisper ? `${t('whisper.only')}${t('colon')}${previewOf(m, t)}` : t('announce.message', { name: chat.person(m.from).name, text: previewOf(m, t) }))
  }
  const hear = (m: Message) => {
    if (m.own || m.conversation !== chat.current.value) return
    heard.push(m)
    timer ??= setTimeout(tell, moment)
  }
  const stops = [
    client.on('message', hear),
    client.on('whisper', hear),
    client.on('message:change', m => { if (m.own && m.status === 'failed' && m.conversation === chat.current.value) chat.announce(`${t('status.failed')}${t('colon')}${previewOf(m, t)}`) }),
    () => clearTimeout(timer),
  ]
  return () => stops.forEach(stop => stop())
}
