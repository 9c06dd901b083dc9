import { speaker } from './words'

// What is said of bots to administrators.
const en = {
  bots: 'Bots',
  'bots.all': 'All bots', 'bots.none': 'No bots', 'bots.remote': 'elsewhere', 'bots.builtIn': 'built in',
  'bots.lag': 'Lag', 'bots.lagIs': '{n} · {s} s', 'bots.crashes': 'Crashes', 'bots.crashesN': '{n} crashes', 'bots.errors': 'Given up', 'bots.tokens': 'Tokens', 'bots.tokensToday': 'Tokens today',
  'bots.isolation': 'Kept apart by {how}', 'bots.models': 'a model answers', 'bots.noModels': 'no model is set up', 'bots.waits': 'Version {version} waits for approval.', 'bots.new': 'new', 'bots.approve': 'Approve it', 'bots.restart': 'Restart', 'bots.enable': 'Switch on', 'bots.disable': 'Switch off', 'bots.disableSure': 'Really switch {name} off',
  'state.discovered': 'discovered', 'state.verified': 'verified', 'state.starting': 'starting', 'state.handshaken': 'handshaken', 'state.described': 'described', 'state.ready': 'ready', 'state.degraded': 'degraded', 'state.draining': 'draining', 'state.stopped': 'stopped', 'state.needs approval': 'needs approval', 'state.disabled': 'disabled', 'state.broken': 'broken', 'state.quarantined': 'quarantined',
  'bots.since': 'Running since', 'bots.nodes': 'Connected to', 'bots.done': 'Events done', 'bots.again': 'Given again', 'bots.starts': 'Starts', 'bots.memory': 'Memory', 'bots.circuit': 'Circuit breaker', 'bots.scopes': 'May', 'bots.commands': 'Commands', 'bots.events': 'What happened', 'bots.logs': 'Its last lines', 'bots.noLogs': 'It wrote nothing.', 'bots.choose': 'Choose a bot to see how it is.', 'bots.waiting': '{n} waiting for your approval.',
}
const zh: typeof en = {
  bots: '机器人',
  'bots.all': '全部机器人', 'bots.none': '没有机器人', 'bots.remote': '远程', 'bots.builtIn': '内置',
  'bots.lag': '积压', 'bots.lagIs': '{n} 条 · {s} 秒', 'bots.crashes': '崩溃', 'bots.crashesN': '崩溃 {n} 次', 'bots.errors': '已放弃', 'bots.tokens': 'Token', 'bots.tokensToday': '今日 token',
  'bots.isolation': '隔离方式：{how}', 'bots.models': '模型可用', 'bots.noModels': '尚未配置模型', 'bots.waits': '版本 {version} 等待批准。', 'bots.new': '新增', 'bots.approve': '批准', 'bots.restart': '重启', 'bots.enable': '启用', 'bots.disable': '停用', 'bots.disableSure': '确定停用 {name}',
  'state.discovered': '已发现', 'state.verified': '已校验', 'state.starting': '启动中', 'state.handshaken': '已握手', 'state.described': '已登记', 'state.ready': '就绪', 'state.degraded': '降级', 'state.draining': '收尾中', 'state.stopped': '已停止', 'state.needs approval': '待批准', 'state.disabled': '已停用', 'state.broken': '故障', 'state.quarantined': '已隔离',
  'bots.since': '运行自', 'bots.nodes': '已连接节点', 'bots.done': '已处理', 'bots.again': '重新投递', 'bots.starts': '启动次数', 'bots.memory': '内存', 'bots.circuit': '熔断', 'bots.scopes': '权限', 'bots.commands': '命令', 'bots.events': '状态记录', 'bots.logs': '最近日志', 'bots.noLogs': '暂无输出。', 'bots.choose': '选择一个机器人查看状态。', 'bots.waiting': '{n} 个等待批准。',
}
export const botWords = (locale: string) => speaker(en, zh, locale)
type State = keyof typeof en extends infer K ? K extends `state.${infer S}` ? S : never : never
export const isState = (s: string): s is State => `state.${s}` in en
