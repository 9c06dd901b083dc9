import { createApp } from 'vue'
import { restOfStyle } from '@troupe/vue'
import '@troupe/vue/first.css'
import './page.css'
import Page from './Page.vue'
import { pageConfig } from '../frame/host'

restOfStyle(() => import('../shared/rest'))
createApp(Page, pageConfig<{ register: 'open' | 'invite' | 'closed' }>()).mount('#app')
