import type { Message, Part } from '@troupe/client'
import type { Translate } from '../i18n/i18n'
import { clock } from '../text/plain'

/** previewOf is a message in one line, as a list, a quote and a screen reader say it. */
export function previewOf(m: Message, t: Translate): string {
  if (m.revoked) return m.own ? t('revoked.own') : t('revoked.short')
  if (m.expired) return t('expired.line')
  if (m.deal && m.deal.state !== 'rewritten') return t(m.deal.state === 'rejected' ? 'deal.rejected' : m.own ? 'deal.heldOwn' : 'deal.held')
  const text = m.parts.map(p => partPreview(p, t)).filter(Boolean).join(' ')
  return text.replace(/\s+/g, ' ').trim() || t('kind.other')
}

function partPreview(p: Part, t: Translate): string {
  switch (p.t) {
    case 'text': return flat(p.text)
    case 'notice': return flat(p.text)
    case 'image': return t('preview.image')
    case 'video': return t('preview.video')
    case 'voice': return p.file.duration ? `${t('preview.voice')} ${clock(p.file.duration)}` : t('preview.voice')
    case 'file': return `${t('preview.file')} ${p.file.name}`
    case 'card': return p.card.title || p.card.text || t('preview.card')
    case 'link': return `${t('preview.link')} ${p.link.title || p.link.url}`
    case 'forward': return t('preview.forward')
    case 'call': return p.video ? t('call.video') : t('call.audio')
    case 'other': return t('kind.other')
  }
}

/** flat takes markdown's marks out of a line that shows no markdown. */
const flat = (s: string): string => s.slice(0, 400)
  .replace(/```\w*\n?/g, '').replace(/^ {0,3}#{1,6} /gm, '').replace(/\*\*([^*\n]+)\*\*/g, '$1').replace(/`([^`\n]+)`/g, '$1').replace(/^ {0,3}(?:[-*+]|>) /gm, '')
  .replace(/\[([^\]\n]+)\]\([^)\s]+\)/g, '$1')
