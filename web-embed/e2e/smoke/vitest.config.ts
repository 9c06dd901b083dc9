import { defineConfig } from 'vitest/config'

/** Other engines than Chromium: `make browsers`. They are not among the tests of every change. */
export default defineConfig({
  test: {
    name: 'smoke',
    include: ['smoke/**/*.test.ts'],
    globalSetup: ['../client/test/setup.ts'],
    environment: 'node',
    testTimeout: 180_000,
    hookTimeout: 180_000,
    fileParallelism: false,
  },
})
