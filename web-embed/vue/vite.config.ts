import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

/** The library: Vue and the client are the host's; all else that it needs is in it, in chunks. */
export default defineConfig({
  plugins: [vue()],
  build: {
    target: 'es2022',
    minify: true,
    lib: { entry: { index: 'src/index.ts' }, formats: ['es'] },
    rolldownOptions: { external: ['vue', /^@troupe\/client/], output: { minify: true, chunkFileNames: '[name].js' } },
  },
})
