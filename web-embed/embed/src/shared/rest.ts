import '@troupe/vue/rest.css'
