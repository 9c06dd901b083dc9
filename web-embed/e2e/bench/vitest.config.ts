import { defineConfig } from 'vitest/config'

/** How long one waits for what one does: `npm run bench`, a part of `make bench`. It prints, and fails at nothing but what does not happen. */
export default defineConfig({
  test: {
    name: 'bench',
    include: ['bench/**/*.bench.ts'],
    globalSetup: ['../client/test/setup.ts'],
    environment: 'node',
    testTimeout: 600_000,
    hookTimeout: 180_000,
    fileParallelism: false,
  },
})
