// What the page around the chat says: signing in, making an account, signing out.

const en = {
  tagline: 'Talk to people, in order and without loss.',
  signIn: 'Sign in', signUp: 'Create account', wait: 'One moment…',
  name: 'Name', nameHint: 'Letters and digits of any script, and . _ - + @',
  nickname: 'What others see', optional: 'optional',
  password: 'Password', passwordHint: '8 characters or more', show: 'Show', hide: 'Hide',
  code: 'Code', codeHint: 'An invitation, or the code that the server printed at its first start', haveCode: 'I have a code',
  invited: 'New accounts need an invitation. An administrator makes it.',
  closed: 'New accounts are made by an administrator.',
  first: 'I have the first administrator’s code',
  forgotten: 'Forgot your password?', forgottenText: 'Ask an administrator: they can set a new one (troupe user reset), and you choose your own afterwards.',
  ended: 'Your login has ended. Sign in again.', replaced: 'You signed in somewhere else, and this window was signed out.',
  'error.login': 'Name or password is wrong', 'error.taken': 'This name is taken', 'error.code': 'This code is not good (any more)', 'error.policy': 'An invitation is needed here',
  'error.closed': 'New accounts are made by an administrator', 'error.limited': 'Too many tries. Wait {n} seconds, please.', 'error.offline': 'The server cannot be reached', 'error.disabled': 'This account is disabled',
  'error.other': 'That did not work: {text}',
  account: 'Settings', signOut: 'Sign out', signOutTitle: 'Sign out here?', signOutText: 'What is kept in this browser is removed. Messages that were not sent are lost.', waiting: '{n} are waiting.',
  close: 'Close', cancel: 'Cancel', 'error.old': 'The present password is wrong',
}
const zh: typeof en = {
  tagline: '与人交谈，井然有序，不丢一条。',
  signIn: '登录', signUp: '创建账号', wait: '请稍候…',
  name: '用户名', nameHint: '任意文字的字母和数字，以及 . _ - + @',
  nickname: '昵称', optional: '可不填',
  password: '密码', passwordHint: '至少 8 个字符', show: '显示', hide: '隐藏',
  code: '邀请码', codeHint: '邀请码，或服务器首次启动时显示的管理员码', haveCode: '我有邀请码',
  invited: '创建账号需要邀请码，请向管理员索取。',
  closed: '账号由管理员创建。',
  first: '我有首位管理员的代码',
  forgotten: '忘记密码？', forgottenText: '请联系管理员重设密码（troupe user reset），之后您可以自行修改。',
  ended: '登录已失效，请重新登录。', replaced: '您已在别处登录，此窗口已退出。',
  'error.login': '用户名或密码不正确', 'error.taken': '该用户名已被使用', 'error.code': '代码无效或已失效', 'error.policy': '此处需要邀请码',
  'error.closed': '账号由管理员创建', 'error.limited': '尝试次数过多，请 {n} 秒后再试。', 'error.offline': '无法连接服务器', 'error.disabled': '该账号已停用',
  'error.other': '操作未成功：{text}',
  account: '设置', signOut: '退出登录', signOutTitle: '在此退出登录？', signOutText: '保存在此浏览器中的内容会被清除，未发送的消息将丢失。', waiting: '还有 {n} 条待发送。',
  close: '关闭', cancel: '取消', 'error.old': '当前密码不正确',
}
export type Word = keyof typeof en
export type Words = (w: Word, v?: Record<string, string | number>) => string

/** speaker says texts of a table in one of two languages; `{name}` stands for a value. */
export function speaker<K extends string>(english: Record<K, string>, chinese: Record<K, string>, locale: string): (w: K, v?: Record<string, string | number>) => string {
  const table = locale.toLowerCase().startsWith('zh') ? chinese : english
  return (w, v = {}) => table[w].replace(/\{(\w+)\}/g, (_, k: string) => String(v[k] ?? ''))
}
export const words = (locale: string): Words => speaker(en, zh, locale)
