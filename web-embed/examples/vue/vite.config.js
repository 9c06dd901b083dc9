import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

// In this repository the packages are found by the workspace above: `npx vite` here runs it.
export default defineConfig({ plugins: [vue()], resolve: { dedupe: ['vue'] } })
