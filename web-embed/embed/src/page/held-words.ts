import { speaker } from './words'

// What is said to administrators of messages that moderation holds back.
const en = {
  held: 'Held messages', where: 'A session, or a user', whereHint: 'The id of a session (s_…), or a user’s id or name', look: 'Show',
  sessions: 'Sessions of {name}', noSessions: 'This user is in no session.', none: 'Nothing is held back here.', more: 'More', back: 'Back',
  by: 'Held back by {by}', byWhy: 'Held back by {by}: {reason}', show: 'Show what it says', allow: 'Let through', reject: 'Reject', why: 'Why, for its writer (may be empty)', cancel: 'Cancel',
  noted: 'That you read a message is noted in the audit log.', direct: 'Private chat', group: 'Group', people: '{n} people', unknown: 'There is no such session and no such user.', other: 'It holds {kind}.',
}
const zh: typeof en = {
  held: '待审核消息', where: '会话或用户', whereHint: '会话 ID（s_…），或用户的 ID 或用户名', look: '查看',
  sessions: '{name} 的会话', noSessions: '该用户没有加入任何会话。', none: '这里没有被拦下的消息。', more: '更多', back: '返回',
  by: '{by} 已拦下', byWhy: '{by} 已拦下：{reason}', show: '查看内容', allow: '放行', reject: '拒绝', why: '告诉发送者的理由（可不填）', cancel: '取消',
  noted: '查看消息内容会记入审计日志。', direct: '私聊', group: '群聊', people: '{n} 人', unknown: '没有这个会话，也没有这个用户。', other: '内容类型：{kind}。',
}
export const heldWords = (locale: string) => speaker(en, zh, locale)
