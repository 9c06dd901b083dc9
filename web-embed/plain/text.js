// What the page says to people. Chinese where the browser asks for it, else English.

const many = (one, more) => v => (v.n === 1 ? one : more).replace('{n}', v.n)

const en = {
  tagline: 'A durable chat on your own machine',
  signIn: 'Sign in', signUp: 'Create account', signOut: 'Sign out',
  name: 'Name', nickname: 'Display name', optional: 'optional', password: 'Password',
  nameHint: 'Letters, digits and . _ - + @', passwordHint: 'At least 8 characters',
  code: 'Invitation or admin code', haveCode: 'I have a code', show: 'Show', hide: 'Hide',
  wait: 'One moment…',
  chats: 'Chats', newChat: 'New chat', newGroup: 'New group', account: 'Account',
  noChats: 'No conversations yet', noChatsHint: 'Write to somebody by their name, or bring a few people together.',
  pick: 'Pick a conversation', pickHint: 'Or start a new one.',
  hello: 'Say hello', helloHint: 'Nothing was written here yet.',
  userName: 'Name of the person', start: 'Start', create: 'Create', add: 'Add', cancel: 'Cancel', save: 'Save', close: 'Close', done: 'Done',
  groupName: 'Name of the group', groupMembers: 'Members', addName: 'Add a person by name',
  nobody: 'Nobody is called “{name}”', yourself: 'That is you', twice: '{name} is in it already',
  pin: 'Pin', unpin: 'Unpin', mute: 'Mute', unmute: 'Unmute', pinned: 'Pinned', muted: 'Muted',
  members: 'Members', rename: 'Rename', leave: 'Leave group', remove: 'Remove', removeName: 'Remove {name}',
  leaveSure: 'Leave this group? You will no longer see what is written in it.',
  owner: 'owner', admin: 'admin', you: 'you', memberCount: many('1 member', '{n} members'),
  more: 'More', back: 'Back', send: 'Send', message: 'Message', writeTo: 'Message {name}',
  hint: 'Enter sends · Shift+Enter starts a new line',
  reply: 'Reply', edit: 'Edit', copy: 'Copy', recall: 'Recall', react: 'React', retry: 'Retry', remove2: 'Delete',
  replyTo: 'Reply to {name}', editing: 'Editing a message', edited: 'edited', draft: 'Draft:',
  recalledMine: 'You recalled a message', recalledOther: '{name} recalled a message', editAgain: 'Edit again',
  expired: 'This message has expired', gone: 'A message that is no longer there',
  joined: '{who} added {names}', joinedSelf: '{names} joined', left: '{names} left', removed: '{who} removed {names}',
  renamed: '{who} named the group “{name}”', newOwner: '{name} is the owner now', changed: '{who} changed the group',
  answerAccept: '{who} accepted the call', answerRefuse: '{who} declined the call',
  unreadLine: many('1 new message', '{n} new messages'), unread: many('1 unread message', '{n} unread messages'),
  toLatest: 'Jump to the latest', earlierGone: 'Earlier messages are not yours to read', loading: 'Loading…',
  start2: 'This is where it began',
  typing1: '{name} is typing', typing2: '{n} people are typing', typing: 'typing…',
  queued: 'Waiting to be sent', sending: 'Sending', sent: 'Sent', delivered: 'Delivered', read: 'Read', failed: 'Not sent',
  readBy: 'Read by {n} of {all}',
  connecting: 'Connecting…', offline: 'No connection. Trying again…', retryIn: 'No connection. Trying again in {n} s…',
  waitingCount: many('1 message waits to be sent', '{n} messages wait to be sent'), retryNow: 'Retry now', back2: 'Connected again',
  ended: 'Your sign-in has ended. Please sign in again.', replaced: 'You signed in on another device, so this one was closed.',
  refused: 'This page may not connect to the server.', tooOld: 'This page is too old. Please reload it.', reload: 'Reload', useHere: 'Use here',
  goneSession: 'You are no longer in this conversation.', copied: 'Copied',
  today: 'Today', yesterday: 'Yesterday', group: 'Group', emptyGroup: 'Empty group', unknownUser: 'Somebody',
  tooLong: 'Too long: a message holds 8 KiB of text', wrongLogin: 'Name or password is wrong', taken: 'This name is taken',
  needCode: 'An invitation code is needed here', slow: 'Too many tries. Wait a moment.', network: 'The server cannot be reached', broke: 'Something went wrong',
  windowOver: 'It is too late for that',
  'type.image': 'Picture', 'type.voice': 'Voice message', 'type.video': 'Video', 'type.file': 'File', 'type.article': 'Article', 'type.link': 'Link',
  'type.share': 'Shared', 'type.forward': 'Forwarded message', 'type.forward_image': 'Forwarded picture', 'type.liveaudio': 'Voice call', 'type.livevideo': 'Video call',
  'type.card': 'Card', 'type.reference': 'Reference', 'type.jump': 'Link', 'type.other': 'Message',
}

const zh = {
  tagline: '运行在你自己机器上的可靠聊天',
  signIn: '登录', signUp: '注册', signOut: '退出登录',
  name: '用户名', nickname: '昵称', optional: '可不填', password: '密码',
  nameHint: '字母、数字及 . _ - + @', passwordHint: '至少 8 个字符',
  code: '邀请码或管理员码', haveCode: '我有邀请码', show: '显示', hide: '隐藏',
  wait: '请稍候…',
  chats: '消息', newChat: '发起聊天', newGroup: '新建群聊', account: '账号',
  noChats: '还没有会话', noChatsHint: '输入对方的用户名开始聊天，或者建一个群。',
  pick: '选择一个会话', pickHint: '或者发起新的聊天。',
  hello: '打个招呼吧', helloHint: '这里还没有消息。',
  userName: '对方的用户名', start: '开始', create: '创建', add: '添加', cancel: '取消', save: '保存', close: '关闭', done: '完成',
  groupName: '群名称', groupMembers: '成员', addName: '按用户名添加',
  nobody: '没有叫“{name}”的用户', yourself: '这是你自己', twice: '{name} 已经在里面了',
  pin: '置顶', unpin: '取消置顶', mute: '免打扰', unmute: '取消免打扰', pinned: '已置顶', muted: '免打扰',
  members: '成员', rename: '修改群名', leave: '退出群聊', remove: '移除', removeName: '移除 {name}',
  leaveSure: '确定退出这个群聊？之后你将看不到群里的消息。',
  owner: '群主', admin: '管理员', you: '我', memberCount: v => `${v.n} 位成员`,
  more: '更多', back: '返回', send: '发送', message: '消息', writeTo: '发消息给 {name}',
  hint: 'Enter 发送 · Shift+Enter 换行',
  reply: '回复', edit: '编辑', copy: '复制', recall: '撤回', react: '回应', retry: '重试', remove2: '删除',
  replyTo: '回复 {name}', editing: '正在编辑消息', edited: '已编辑', draft: '草稿：',
  recalledMine: '你撤回了一条消息', recalledOther: '{name} 撤回了一条消息', editAgain: '重新编辑',
  expired: '消息已过期', gone: '消息已不存在',
  joined: '{who} 邀请 {names} 加入', joinedSelf: '{names} 加入了', left: '{names} 退出了', removed: '{who} 移除了 {names}',
  renamed: '{who} 将群名改为“{name}”', newOwner: '{name} 成为群主', changed: '{who} 修改了群设置',
  answerAccept: '{who} 接受了通话', answerRefuse: '{who} 拒绝了通话',
  unreadLine: v => `${v.n} 条新消息`, unread: v => `${v.n} 条未读消息`,
  toLatest: '回到最新消息', earlierGone: '更早的消息不可见', loading: '加载中…',
  start2: '会话从这里开始',
  typing1: '{name} 正在输入', typing2: '{n} 人正在输入', typing: '正在输入…',
  queued: '等待发送', sending: '发送中', sent: '已发送', delivered: '已送达', read: '已读', failed: '发送失败',
  readBy: '{n}/{all} 人已读',
  connecting: '正在连接…', offline: '网络已断开，正在重新连接…', retryIn: '网络已断开，{n} 秒后重新连接…',
  waitingCount: v => `${v.n} 条消息待发送`, retryNow: '立即重试', back2: '已重新连接',
  ended: '登录已失效，请重新登录。', replaced: '你在另一台设备上登录了，此处已断开。',
  refused: '此页面不能连接到服务器。', tooOld: '页面版本过旧，请刷新。', reload: '刷新', useHere: '在此使用',
  goneSession: '你已不在这个会话中。', copied: '已复制',
  today: '今天', yesterday: '昨天', group: '群聊', emptyGroup: '空群', unknownUser: '某人',
  tooLong: '太长了：一条消息最多 8 KiB 文字', wrongLogin: '用户名或密码错误', taken: '用户名已被使用',
  needCode: '注册需要邀请码', slow: '操作太频繁，请稍候。', network: '无法连接服务器', broke: '出错了',
  windowOver: '已超过可操作的时间',
  'type.image': '图片', 'type.voice': '语音', 'type.video': '视频', 'type.file': '文件', 'type.article': '文章', 'type.link': '链接',
  'type.share': '分享', 'type.forward': '转发的消息', 'type.forward_image': '转发的图片', 'type.liveaudio': '语音通话', 'type.livevideo': '视频通话',
  'type.card': '名片', 'type.reference': '引用', 'type.jump': '链接', 'type.other': '消息',
}

export const locale = /^zh\b/i.test(navigator.language || '') ? 'zh-CN' : 'en'
const words = locale === 'en' ? en : zh

/** t gives the text of a key, with {name} filled from vars. */
export function t(key, vars = {}) {
  const w = words[key] ?? en[key] ?? key
  if (typeof w === 'function') return w(vars)
  return w.replace(/\{(\w+)\}/g, (_, k) => vars[k] ?? '')
}

const tag = locale === 'en' && /^en\b/i.test(navigator.language || '') ? navigator.language : locale
const clock = new Intl.DateTimeFormat(tag, { hour: locale === 'en' ? 'numeric' : '2-digit', minute: '2-digit' })
const monthDay = new Intl.DateTimeFormat(tag, { month: 'short', day: 'numeric' })
const weekday = new Intl.DateTimeFormat(tag, { weekday: 'long', month: 'long', day: 'numeric' })
const full = new Intl.DateTimeFormat(tag, { year: 'numeric', month: 'long', day: 'numeric' })
const exact = new Intl.DateTimeFormat(tag, { dateStyle: 'medium', timeStyle: 'medium' })
const lists = new Intl.ListFormat(tag, { style: 'short', type: 'conjunction' })

const dayOf = ms => new Date(ms).setHours(0, 0, 0, 0)
const daysAgo = ms => Math.round((dayOf(Date.now()) - dayOf(ms)) / 864e5)

export const time = ms => clock.format(ms)
export const moment = ms => exact.format(ms)
export const list = names => lists.format(names)
export { dayOf }

/** day names the day of a line between messages. */
export function day(ms) {
  const n = daysAgo(ms)
  if (n === 0) return t('today')
  if (n === 1) return t('yesterday')
  return new Date(ms).getFullYear() === new Date().getFullYear() ? weekday.format(ms) : full.format(ms)
}

/** when is a time as short as a row of the home list needs it. */
export function when(ms) {
  const n = daysAgo(ms)
  if (n === 0) return clock.format(ms)
  if (n === 1) return t('yesterday')
  return new Date(ms).getFullYear() === new Date().getFullYear() ? monthDay.format(ms) : full.format(ms)
}

/** wrong says in people's words why something failed. */
export function wrong(e, where) {
  switch (e.code) {
    case 'OFFLINE': case 'TIMEOUT': return t('network')
    case 'RATE_LIMITED': return t('slow')
    case 'TOO_LARGE': return where === 'send' ? t('tooLong') : e.message
    case 'WINDOW_OVER': return t('windowOver')
    case 'UNAUTHORIZED': if (where === 'login') return t('wrongLogin'); break
    case 'CONFLICT': if (where === 'register') return t('taken'); break
    case 'DENIED': if (where === 'register') return t('needCode'); break
    case 'INTERNAL': return t('broke')
  }
  return e.message || t('broke')
}
