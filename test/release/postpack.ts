/** The script `postpack` of each package, in its folder: puts the workspace's package.json back. */
import process from 'node:process'
import { restore } from './manifest.ts'

try {
  restore(process.cwd())
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
