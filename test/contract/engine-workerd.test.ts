/** The engine's checks, run inside workerd. */
import { resolve } from 'node:path'
import type { Outcome } from '../contracts/outcome.ts'
import { testSuite } from '../../packages/runtime/test/program.ts'
import { bundle, COMPATIBILITY_DATE, serveWorkerd } from '../../packages/runtime/test/workerd/serving.ts'
import { engineRows } from '../contracts/wire/engine.ts'

const CONFIG = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (modules = [(name = "worker", esModule = embed "worker.js")],
    compatibilityDate = "${COMPATIBILITY_DATE}", compatibilityFlags = ["nodejs_compat"]))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")]);
`

async function outcomesInWorkerd(): Promise<Outcome[]> {
  const files = { 'config.capnp': CONFIG, 'worker.js': await bundle(resolve(import.meta.dirname, 'engine-worker.ts')) }
  await using workerd = await serveWorkerd(files, ['http'])
  const answer = await fetch(`http://127.0.0.1:${workerd.ports['http']}/`)
  return (await answer.json()) as Outcome[]
}

testSuite({ suite: 'engine', runtime: 'workerd', rows: engineRows(), run: outcomesInWorkerd })
