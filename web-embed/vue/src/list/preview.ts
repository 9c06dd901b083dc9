import type { ConversationView, User } from '@troupe/client'
import { previewOf } from '../message/preview'
import type { Translate } from '../i18n/i18n'

export interface RowText { readonly mark: '' | 'draft' | 'mention' | 'typing' | 'failed' | 'waiting'; readonly who: string; readonly text: string }

/** rowText is the second line of a row: a draft first, then who is typing, what mentions one, else the newest message. */
export function rowText(v: ConversationView, o: { t: Translate; person: (id: string) => User; open: boolean; typing: boolean }): RowText {
  const { t } = o
  if (v.draft && !o.open) return { mark: 'draft', who: t('draft'), text: v.draft.replace(/\s+/g, ' ') }
  if (o.typing && v.typing.length) {
    return { mark: 'typing', who: '', text: v.kind === 'p2p' ? t('typing.now') : t('typing.names', { n: v.typing.length, names: v.typing.slice(0, 2).map(id => o.person(id).name).join(t('comma')) }) }
  }
  const group = v.kind === 'group' || v.kind === 'muc'
  const m = v.waiting ?? v.last
  const who = m && !m.revoked && group ? m.own ? t('you') : o.person(m.from).name : ''
  const text = m ? previewOf(m, t) : group ? t('list.members', { n: v.memberCount }) : ''
  if (v.mentioned && v.unread) return { mark: 'mention', who: who ? `${t('mention.you')} ${who}` : t('mention.you'), text }
  if (v.failed) return { mark: 'failed', who: t('status.failed'), text }
  if (v.waiting) return { mark: 'waiting', who, text }
  return { mark: '', who, text }
}
