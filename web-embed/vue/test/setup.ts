import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Builds the fixture pages once, for all tests that open them. */
export default function setup(): void {
  execFileSync('npx', ['vite', 'build', '-c', 'vite.fixtures.ts', '--logLevel', 'error'], { cwd: fileURLToPath(new URL('..', import.meta.url)), stdio: 'inherit' })
}
