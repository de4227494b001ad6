/** Runs the contract of Duplex on the runtime that runs this: `node`, `deno run -A` or `bun run`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { selfSigned } from '../src/sockets/tls/index.ts'
import { inProcessKinds } from './in-process.ts'
import { contractOutcomes, report } from '../../../test/contracts/outcome.ts'
import { type Sockets, socketKinds } from './sockets.ts'

const runtime = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node'
const sockets = (await import(`../src/${runtime}/index.ts`)) as Sockets
const directory = await mkdtemp(join(tmpdir(), 'postern-contract-'))
const { kinds, close } = socketKinds(sockets, await selfSigned(), join(directory, 'socket'))
await report(contractOutcomes([...inProcessKinds, ...kinds]))
await close()
await rm(directory, { recursive: true })
// Does not wait for work that a check left open.
process.exit(0)
