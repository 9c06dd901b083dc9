// What the pages around the chat say. The chat's own words are @troupe/vue's.

const en = {
  refused: 'The chat may not be shown here',
  refusedWhy: 'The page around it did not answer as a page of {name} does. If it is yours: take in /embed/v1/troupe.js, and name the page\u2019s origin in the application.',
  alone: 'This chat is made to stand in a page of {name}.',
  signedOut: 'You are not signed in',
  signedOutWhy: 'Sign in on this page, and the chat is here.',
  again: 'Try again',
  broken: 'The chat could not start',
}
const zh: typeof en = {
  refused: '聊天不能在此页面显示',
  refusedWhy: '外层页面没有按“{name}”的页面那样应答。如果这是您的页面：请引入 /embed/v1/troupe.js，并在应用中登记它的来源。',
  alone: '这个聊天窗口需要嵌入“{name}”的页面使用。',
  signedOut: '您还没有登录',
  signedOutWhy: '请先在本页面登录，聊天随即可用。',
  again: '重试',
  broken: '聊天未能启动',
}
export type Word = keyof typeof en

export function words(locale?: string): (w: Word, v?: Record<string, string>) => string {
  const table = (locale ?? navigator.language).toLowerCase().startsWith('zh') ? zh : en
  return (w, v = {}) => table[w].replace(/\{(\w+)\}/g, (_, k: string) => v[k] ?? '')
}
