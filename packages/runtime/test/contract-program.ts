/** Runs the contract of Duplex on the runtime that runs this: `node`, `deno run -A` or `bun run`. */
import process from 'node:process'
import { selfSigned } from '../src/sockets/tls/index.ts'
import { chosenKinds } from './chosen-kinds.ts'
import { inProcessKinds } from './in-process.ts'
import { Scratch } from '../../../test/kit/scratch.ts'
import { contractOutcomes, report } from '../../../test/contracts/outcome.ts'
import { type Sockets, socketKinds } from './sockets.ts'

const runtime = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node'
const sockets = (await import(`../src/${runtime}/index.ts`)) as Sockets
const scratch = await Scratch.make()
const { kinds, close } = socketKinds(sockets, await selfSigned(), scratch.join('socket'))
await report(contractOutcomes([...chosenKinds(runtime, inProcessKinds, 1, 2), ...chosenKinds(runtime, kinds, 2)]))
await close()
await scratch[Symbol.asyncDispose]()
// Does not wait for work that a check left open.
process.exit(0)
