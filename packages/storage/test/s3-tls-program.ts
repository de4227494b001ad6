/** Keeps a blob over HTTPS and reads it back, on the runtime that runs this. */
import process from 'node:process'
import { s3, type S3Options } from '@postern/storage/s3'
import { get, pattern, put, sameBytes } from '../../../test/contracts/blobs/exchange.ts'

const store = s3(JSON.parse(process.argv[2] as string) as S3Options)
const bytes = pattern(5 * 1024 * 1024 + 1)
try {
  await put(store, 'a/b', bytes)
  sameBytes(await get(store, 'a/b'), bytes, 'what was kept')
  process.stdout.write(`${(await store.list()).keys.join()}\n`)
} catch (error) {
  process.stdout.write(`${String(error)}\n`)
}
// Ends the process, because connections stay open for a while.
process.exit(0)
