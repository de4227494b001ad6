/** OpenStack Swift as Debian packages it, with its S3 API in front. */
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Need } from '../../../../test/kit/tool.ts'
import { mustAsk, type S3Server } from './server.ts'
import { start } from './started.ts'

/** Debian's, whose packages it finds; another in the path would not. */
const PYTHON = '/usr/bin/python3'
const PROGRAM = join(import.meta.dirname, 'swift-servers.py')

/** Below which its bucket names become host names. */
export const SWIFT_DOMAIN = 's3.localhost'

export const SWIFT: Need = {
  missing: existsSync('/usr/lib/python3/dist-packages/swift/proxy/server.py')
    ? undefined
    : 'python3-swift is not installed',
}

export async function startSwift(): Promise<S3Server> {
  const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8', TMPDIR: tmpdir() }
  const started = await start('swift', [PYTHON, PROGRAM], environment)
  let used = 0
  const server: S3Server = {
    ...started,
    name: 'swift',
    region: 'us-east-1',
    credentials: { accessKeyId: 'postern:tester', secretAccessKey: 'testing' },
    async bucket() {
      const name = `bucket-${used++}`
      await mustAsk(server, 'PUT', `/${name}`)
      return name
    },
  }
  return server
}
