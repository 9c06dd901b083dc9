import { createApp } from 'vue'
import '@troupe/vue/style.css'
import './frame.css'
import Frame from './Frame.vue'
import { pageConfig, type FrameConfig } from './host'

createApp(Frame, { config: pageConfig<FrameConfig>() }).mount('#app')
