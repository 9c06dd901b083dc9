// What the page around the chat says: signing in, making an account, one's login and devices.

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
  appearance: 'Appearance', theme: 'Theme', auto: 'As the system', light: 'Light', dark: 'Dark', language: 'Language',
  changePassword: 'Change password', old: 'Present password', next: 'New password', change: 'Change', changed: 'The password is changed. All other devices are signed out.', 'error.old': 'The present password is wrong',
  devices: 'Devices', thisOne: 'This one', signedOutAt: 'last seen {when}', signOutDevice: 'Sign out', signOutOthers: 'Sign out all others', noDevices: 'No other devices', close: 'Close', cancel: 'Cancel', more: 'Show more',
  unknownDevice: 'Unknown device', browser: 'Browser',
  'bots': 'Bots', 'bots.all': 'All bots', 'bots.none': 'No bots', 'bots.remote': 'elsewhere', 'bots.builtIn': 'built in', 'bots.lag': 'Lag', 'bots.lagIs': '{n} · {s} s', 'bots.crashes': 'Crashes', 'bots.crashesN': '{n} crashes', 'bots.errors': 'Given up', 'bots.tokens': 'Tokens today', 'bots.isolation': 'Kept apart by {how}', 'bots.models': 'a model answers', 'bots.noModels': 'no model is set up', 'bots.waits': 'Version {version} waits for approval.', 'bots.new': 'new', 'bots.approve': 'Approve it', 'bots.restart': 'Restart', 'bots.enable': 'Switch on', 'bots.disable': 'Switch off', 'bots.disableSure': 'Really switch {name} off', 'bots.since': 'Running since', 'bots.done': 'Events done', 'bots.again': 'Given again', 'bots.starts': 'Starts', 'bots.memory': 'Memory', 'bots.circuit': 'Circuit breaker', 'bots.scopes': 'May', 'bots.commands': 'Commands', 'bots.events': 'What happened', 'bots.logs': 'Its last lines', 'bots.noLogs': 'It wrote nothing.', 'bots.choose': 'Choose a bot to see how it is.', 'bots.waiting': '{n} waiting for your approval.',
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
  appearance: '外观', theme: '主题', auto: '跟随系统', light: '浅色', dark: '深色', language: '语言',
  changePassword: '修改密码', old: '当前密码', next: '新密码', change: '修改', changed: '密码已修改，其他设备均已退出。', 'error.old': '当前密码不正确',
  devices: '设备', thisOne: '本机', signedOutAt: '上次在线 {when}', signOutDevice: '退出', signOutOthers: '退出其他所有设备', noDevices: '没有其他设备', close: '关闭', cancel: '取消', more: '显示更多',
  unknownDevice: '未知设备', browser: '浏览器',
  'bots': '机器人', 'bots.all': '全部机器人', 'bots.none': '没有机器人', 'bots.remote': '远程', 'bots.builtIn': '内置', 'bots.lag': '积压', 'bots.lagIs': '{n} 条 · {s} 秒', 'bots.crashes': '崩溃', 'bots.crashesN': '崩溃 {n} 次', 'bots.errors': '已放弃', 'bots.tokens': '今日 token', 'bots.isolation': '隔离方式：{how}', 'bots.models': '模型可用', 'bots.noModels': '尚未配置模型', 'bots.waits': '版本 {version} 等待批准。', 'bots.new': '新增', 'bots.approve': '批准', 'bots.restart': '重启', 'bots.enable': '启用', 'bots.disable': '停用', 'bots.disableSure': '确定停用 {name}', 'bots.since': '运行自', 'bots.done': '已处理', 'bots.again': '重新投递', 'bots.starts': '启动次数', 'bots.memory': '内存', 'bots.circuit': '熔断', 'bots.scopes': '权限', 'bots.commands': '命令', 'bots.events': '状态记录', 'bots.logs': '最近日志', 'bots.noLogs': '暂无输出。', 'bots.choose': '选择一个机器人查看状态。', 'bots.waiting': '{n} 个等待批准。',
}
export type Word = keyof typeof en
export type Words = (w: Word, v?: Record<string, string | number>) => string

export function words(locale: string): Words {
  const table = locale.toLowerCase().startsWith('zh') ? zh : en
  return (w, v = {}) => table[w].replace(/\{(\w+)\}/g, (_, k: string) => String(v[k] ?? ''))
}
