import { meet, pageConfig, type FrameConfig } from './host'

const config = pageConfig<FrameConfig>()
const show = (text: string) => { document.getElementById('app')!.textContent = text }
meet(config, () => show('not allowed here')).then(host => {
  show('met ' + host.origin)
  host.say({ t: 'ready' })
})
