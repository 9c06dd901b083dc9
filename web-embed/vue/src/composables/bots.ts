import type { User } from '@troupe/client'
import type { MessageKey } from '../i18n/i18n'

/** tagOf names what stands behind a bot's name: a model, or a program. */
export const tagOf = (u: User): MessageKey => (u.fields?.['ai'] ? 'bot.tag' : 'bot.plain')
/** aboutOf is what a bot says of itself in one line. */
export const aboutOf = (u: User): string => (u.kind === 'bot' ? u.fields?.['about'] ?? '' : '')
