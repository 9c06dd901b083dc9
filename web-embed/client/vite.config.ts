import { defineConfig } from 'vite'

export default defineConfig({
  build: {
    target: 'es2022',
    minify: true,
    sourcemap: true,
    lib: { entry: { index: 'src/index.ts', account: 'src/account.ts' }, formats: ['es'] },
    rolldownOptions: { output: { minify: true } },
  },
})
