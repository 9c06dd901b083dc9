import { defineConfig } from 'vite'

/** The style as one file, dist/style.css, and in the two parts that it may be loaded in. */
export default defineConfig({
  build: {
    emptyOutDir: false, target: 'es2022', cssMinify: true, cssTarget: ['chrome120', 'safari17', 'firefox121'],
    rolldownOptions: { input: { style: 'src/styles/index.css', first: 'src/styles/first.css', rest: 'src/styles/rest.css' }, output: { assetFileNames: '[name][extname]' } },
  },
})
