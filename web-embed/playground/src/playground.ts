import { createApp } from 'vue'
import '@troupe/vue/style.css'
import './playground.css'
import Playground from './Playground.vue'

const config = JSON.parse(document.getElementById('troupe-config')!.textContent!) as { register: string; app: string }
createApp(Playground, config).mount('#app')
