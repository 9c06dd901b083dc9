import { defineConfig } from 'vitest/config'

// Each package has its own configuration; this runs them all.
export default defineConfig({
  test: { projects: ['*/vitest.config.ts'] },
})
