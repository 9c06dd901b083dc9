// Builds what the binary serves into dist (or into the directory that is named): the same sources give the same
// bytes. The names of the files do not change from build to build; the server puts the build into their addresses.
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { build } from 'vite'

const here = dirname(fileURLToPath(import.meta.url))
const out = resolve(process.argv[2] ?? join(here, 'dist'))
rmSync(out, { recursive: true, force: true })
mkdirSync(out, { recursive: true })

const common = {
  configFile: false,
  root: here,
  logLevel: 'warn',
  define: { 'process.env.NODE_ENV': '"production"', __VUE_OPTIONS_API__: 'false', __VUE_PROD_DEVTOOLS__: 'false', __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false' },
  publicDir: false,
  resolve: { dedupe: ['vue', '@troupe/client'] },
}
const target = ['chrome109', 'firefox115', 'safari16.4']

// The loader stands alone: one script of the old kind, which any page may take in.
await build({
  ...common,
  build: { target, outDir: out, emptyOutDir: false, lib: { entry: join(here, 'src/loader/loader.ts'), formats: ['iife'], name: 'TroupeLoader', fileName: () => 'troupe.js' } },
})

// All else shares its parts. Styles are files of their own for our pages; the element has them as text, as it must
// not put anything into the head of its page.
const entries = {
  frame: join(here, 'src/frame/frame.ts'),
  page: join(here, 'src/page/page.ts'),
  element: join(here, 'src/element/element.ts'),
  playground: join(here, '../playground/src/playground.ts'),
}
const input = Object.fromEntries(Object.entries(entries).filter(([, file]) => existsSync(file)))
const listed = {}
await build({
  ...common,
  base: './',
  plugins: [vue({ template: { compilerOptions: { isCustomElement: tag => tag === 'troupe-chat' } } }), {
    name: 'troupe-entries',
    generateBundle(_, bundle) {
      const chunks = Object.values(bundle).filter(c => c.type === 'chunk')
      const byName = new Map(chunks.map(c => [c.fileName, c]))
      const needs = (chunk, seen = new Set()) => {
        for (const name of chunk.imports) if (!seen.has(name)) { seen.add(name); const c = byName.get(name); if (c) needs(c, seen) }
        return seen
      }
      for (const chunk of chunks) {
        if (!chunk.isEntry) continue
        const all = needs(chunk)
        const styles = new Set()
        // What is shared comes first, so that an entry's own rules win.
        for (const c of [...[...all].map(n => byName.get(n)), chunk]) for (const s of c?.viteMetadata?.importedCss ?? []) styles.add(s)
        listed[chunk.name] = { styles: [...styles], needs: [...all].sort() }
      }
    },
  }],
  build: {
    target, outDir: out, emptyOutDir: false, modulePreload: false, assetsInlineLimit: 0, chunkSizeWarningLimit: 1000, cssTarget: 'esnext',
    rollupOptions: {
      input,
      preserveEntrySignatures: 'allow-extension',
      output: { entryFileNames: '[name].js', chunkFileNames: '[name].js', assetFileNames: '[name][extname]' },
    },
  },
})
// A chunk that had styles alone is none in the end.
for (const entry of Object.values(listed)) entry.needs = entry.needs.filter(name => existsSync(join(out, name)))
for (const name of readdirSync(join(here, 'static'))) cpSync(join(here, 'static', name), join(out, name))
writeFileSync(join(out, 'entries.json'), JSON.stringify(Object.fromEntries(Object.entries(listed).sort()), null, 1) + '\n')
