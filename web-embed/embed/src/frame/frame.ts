import { createApp } from 'vue'
import { restOfStyle } from '@troupe/vue'
import '@troupe/vue/first.css'
import './frame.css'
import Frame from './Frame.vue'
import { pageConfig, type FrameConfig } from './host'

restOfStyle(() => import('../shared/rest'))
createApp(Frame, { config: pageConfig<FrameConfig>() }).mount('#app')
