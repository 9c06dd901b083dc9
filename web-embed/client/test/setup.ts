import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  export interface ProvidedContext {
    binary: string
  }
}

/** Builds the server once, for all tests that talk to it. */
export default function setup(project: TestProject): () => void {
  const dir = mkdtempSync(join(tmpdir(), 'troupe-web-'))
  const binary = process.env['TROUPE_BINARY'] ?? join(dir, 'troupe')
  if (!process.env['TROUPE_BINARY']) execFileSync('go', ['build', '-o', binary, '.'], { cwd: join(import.meta.dirname, '../../..'), stdio: 'inherit' })
  project.provide('binary', binary)
  return () => rmSync(dir, { recursive: true, force: true })
}
