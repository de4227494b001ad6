/** The daemon on a server runtime, as a target. */
import { join } from 'node:path'
import { PASSWORD_HASH, USER } from '../contracts/wire/user.ts'
import { makeCertificate } from '../peers/served.ts'
import { serveMail } from '../kit/postern.ts'
import { keptIds, readKept } from '../peers/store.ts'
import { Scratch } from '../kit/scratch.ts'
import type { Target } from '../contracts/wire/target.ts'

/** Starts `postern serve` with this command. */
export async function serveOn(command: readonly [string, ...string[]]): Promise<Target> {
  const scratch = await Scratch.make()
  const { keyFile, caFile } = await makeCertificate(scratch)
  const store = join(scratch.path, 'mail')
  const server = await serveMail({
    store,
    command,
    listen: ['smtp://127.0.0.1:0', 'smtps://127.0.0.1:0'],
    flags: [
      `--tls-key=${keyFile}`,
      `--tls-cert=${caFile}`,
      `--users=${USER}:${PASSWORD_HASH}`,
      '--max-connections=2000',
      '--max-connections-per-address=2000',
    ],
  })
  const [smtp, smtps] = server.ports as [number, number]
  return {
    smtp,
    smtps,
    caFile,
    gaps: {},
    kept: (id) => readKept(store, id),
    ids: () => keptIds(store),
    stop: () => server.end('SIGTERM'),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await scratch[Symbol.asyncDispose]()
    },
  }
}
