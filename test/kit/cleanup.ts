/** Cleans up behind each test file. The runner loads it before each file, also if several files share a thread. */
import { afterAll } from 'vitest'
import { endDaemons } from './daemon.ts'
import { removeDirectories } from './directory.ts'

afterAll(async () => {
  await endDaemons()
  removeDirectories()
})
