/** OpenStack Swift as Debian packages it, with its S3 API in front. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEBIAN_PYTHON } from '../../../../test/kit/abilities.ts'
import { mustAsk, type S3Server } from './server.ts'
import { start } from './started.ts'

const PROGRAM = join(import.meta.dirname, 'swift-servers.py')

/** The domain below which bucket names become host names. */
export const SWIFT_DOMAIN = 's3.localhost'

export async function startSwift(): Promise<S3Server> {
  const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8', TMPDIR: tmpdir() }
  const started = await start([DEBIAN_PYTHON, PROGRAM], environment)
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
