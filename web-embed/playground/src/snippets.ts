/** The three ways, as one copies them. `origin` is this server's. */
export const ways = ['vue', 'element', 'iframe'] as const
export type Way = (typeof ways)[number]

export const titles: Record<Way, [string, string]> = {
  vue: ['Vue component', 'For your own Vue 3 app: props, events and slots.'],
  element: ['Custom element', 'For any page or framework of your own: one tag, in a shadow root.'],
  iframe: ['Script and iframe', 'For any other page: two lines, and nothing is shared.'],
}

export function snippet(way: Way, origin: string): string {
  switch (way) {
    case 'vue': return `<script setup>
import { TroupeChat } from '@troupe/vue'
import '@troupe/vue/style.css'

const getToken = () => fetch('/im/token', { method: 'POST' }).then(r => r.text())
</script>

<template>
  <TroupeChat endpoint="${origin}" app="YOUR_APP" :get-token="getToken" />
</template>`
    case 'element': return `<troupe-chat endpoint="${origin}" app="YOUR_APP"></troupe-chat>

<script type="module">
  import '${origin}/embed/v1/element.js'

  const chat = document.querySelector('troupe-chat')
  chat.getToken = () => fetch('/im/token', { method: 'POST' }).then(r => r.text())
  chat.addEventListener('troupe-unread', e => console.log(e.detail.total))
</script>`
    case 'iframe': return `<script>
  window.Troupe = window.Troupe || function () { (Troupe.q = Troupe.q || []).push(arguments) }
  Troupe('boot', { getToken: () => fetch('/im/token', { method: 'POST' }).then(r => r.text()) })
  Troupe('on', 'unread', e => console.log(e.total))
</script>
<script async src="${origin}/embed/v1/troupe.js" data-app="YOUR_APP"></script>`
  }
}
