import { createApp } from 'vue'
import '@troupe/vue/style.css'
import './page.css'
import Page from './Page.vue'
import { pageConfig } from '../frame/host'

createApp(Page, pageConfig<{ register: 'open' | 'invite' | 'closed' }>()).mount('#app')
