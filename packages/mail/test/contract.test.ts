/** The corpus of awkward messages inside each runtime. */
import { resolve } from 'node:path'
import { mimeRows } from '../../../test/contracts/mime/mime.ts'
import type { Outcome } from '../../../test/contracts/outcome.ts'
import { COMMANDS } from '../../../test/kit/commands.ts'
import { outcomesOf, testSuites } from '../../runtime/test/program.ts'
import { bundle, COMPATIBILITY_DATE, serveWorkerd } from '../../runtime/test/workerd/serving.ts'

const PATIENCE_MS = 300_000
const CONFIG = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (modules = [(name = "worker", esModule = embed "worker.js")],
    compatibilityDate = "${COMPATIBILITY_DATE}", compatibilityFlags = ["nodejs_compat"]))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")]);
`

async function outcomesInWorkerd(): Promise<Outcome[]> {
  const files = { 'config.capnp': CONFIG, 'worker.js': await bundle(resolve(import.meta.dirname, 'corpus-worker.ts')) }
  await using workerd = await serveWorkerd(files, ['http'])
  const answer = await fetch(`http://127.0.0.1:${workerd.ports['http']}/`)
  return (await answer.json()) as Outcome[]
}

const program = resolve(import.meta.dirname, 'corpus-program.ts')
const rows = mimeRows()

testSuites([
  ...(['node', 'deno', 'bun'] as const).map((runtime) => ({
    suite: 'mime',
    runtime,
    rows,
    run: () => outcomesOf([...COMMANDS[runtime], program], PATIENCE_MS),
  })),
  { suite: 'mime', runtime: 'workerd', rows, run: outcomesInWorkerd },
])
