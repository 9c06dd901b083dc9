import { h, type FunctionalComponent } from 'vue'
import { icons, type IconName } from './icons'

/** One icon, 20 px unless said. It says nothing to screen readers: its button does. */
export const TpIcon: FunctionalComponent<{ name: IconName; size?: number }> = ({ name, size = 20 }) => {
  const path: string = icons[name]
  const filled = path.startsWith('fill:')
  return h('svg', {
    class: ['tp-icon', `tp-icon-${name}`], viewBox: '0 0 24 24', width: size, height: size, 'aria-hidden': 'true',
    fill: filled ? 'currentColor' : 'none', stroke: filled ? 'none' : 'currentColor',
    'stroke-width': 1.75, 'stroke-linecap': 'round', 'stroke-linejoin': 'round',
  }, h('path', { d: filled ? path.slice(5) : path }))
}
TpIcon.props = ['name', 'size']
