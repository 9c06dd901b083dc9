import { speaker } from './words'

// What is said of one's login and devices.
const en = {
  appearance: 'Appearance', theme: 'Theme', auto: 'As the system', light: 'Light', dark: 'Dark', language: 'Language',
  changePassword: 'Change password', old: 'Present password', next: 'New password', change: 'Change', changed: 'The password is changed. All other devices are signed out.',
  devices: 'Devices', thisOne: 'This one', signedOutAt: 'last seen {when}', signOutDevice: 'Sign out', signOutOthers: 'Sign out all others', noDevices: 'No other devices', more: 'Show more',
  unknownDevice: 'Unknown device', browser: 'Browser',
}
const zh: typeof en = {
  appearance: '外观', theme: '主题', auto: '跟随系统', light: '浅色', dark: '深色', language: '语言',
  changePassword: '修改密码', old: '当前密码', next: '新密码', change: '修改', changed: '密码已修改，其他设备均已退出。',
  devices: '设备', thisOne: '本机', signedOutAt: '上次在线 {when}', signOutDevice: '退出', signOutOthers: '退出其他所有设备', noDevices: '没有其他设备', more: '显示更多',
  unknownDevice: '未知设备', browser: '浏览器',
}
export const accountWords = (locale: string) => speaker(en, zh, locale)
