import { defineConfig } from 'vite'

/** The style as one file: dist/style.css. */
export default defineConfig({
  build: {
    emptyOutDir: false, target: 'es2022', cssMinify: true, cssTarget: ['chrome120', 'safari17', 'firefox121'],
    rolldownOptions: { input: 'src/styles/index.css', output: { assetFileNames: 'style.css' } },
  },
})
