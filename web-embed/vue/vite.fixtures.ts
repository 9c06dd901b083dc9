import vue from '@vitejs/plugin-vue'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

/** The fixture page, built as strictly as a frame's page is served. */
export default defineConfig({
  root: fileURLToPath(new URL('fixtures', import.meta.url)),
  base: './',
  plugins: [vue()],
  build: { outDir: '../dist/fixtures', emptyOutDir: true, target: 'es2022', cssTarget: ['chrome120', 'safari17', 'firefox121'], modulePreload: { polyfill: false }, rolldownOptions: { input: ['fixtures/index.html', 'fixtures/live.html'] } },
})
