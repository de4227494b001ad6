/** Raw workerd with one of the Workers in this folder. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { NODE_BUFFER } from '../../../../apps/cloudflare/self-hosted/node-buffer.ts'

export type WorkerName = 'barest' | 'postern'

export interface WorkerdOptions {
  readonly worker: WorkerName
  readonly store: string | undefined
  /** Where configuration and code lie, and the disk. */
  readonly directory: string
}

/** With a disk there is an object that keeps it: the one of the Worker, without its upkeep. */
const WITH_DISK = `
import { disk, DiskObject } from '@postern/worker/disk'
import { worker } from './postern.ts'
export class Disk extends DiskObject { async keepUp() {} }
export default worker(({ DISK }) => disk(() => DISK.getByName('mail')))
`

/** Writes the Worker and its configuration. @returns what workerd is told to serve it, and to tell of its port on descriptor 3 */
export async function workerdArguments({ worker, store, directory }: WorkerdOptions): Promise<string[]> {
  const hasDisk = store === 'fs'
  const source = hasDisk ? WITH_DISK : `export { default } from './${worker}.ts'`
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: import.meta.dirname, loader: 'ts' },
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'import'],
    external: ['cloudflare:*', 'node:*'],
    plugins: [NODE_BUFFER],
  })
  writeFileSync(join(directory, 'worker.js'), outputFiles[0]?.text ?? '')
  const config = join(directory, 'config.capnp')
  writeFileSync(config, capnp(store ?? '', hasDisk ? directory : undefined))
  return ['serve', '--control-fd=3', config]
}

function capnp(store: string, directory: string | undefined): string {
  const disk = directory === undefined ? '' : `(name = "disk", disk = (path = "${directory}", writable = true)),`
  const objects =
    directory === undefined
      ? ''
      : 'durableObjectNamespaces = [(className = "Disk", uniqueKey = "bench", enableSql = true)], durableObjectStorage = (localDisk = "disk"),'
  const binding = directory === undefined ? '' : '(name = "DISK", durableObjectNamespace = "Disk"),'
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .worker), ${disk}],
  sockets = [(name = "smtp", address = "127.0.0.1:0", tcp = (), service = "main")]);
const worker :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "worker.js")],
  compatibilityDate = "2026-11-01", compatibilityFlags = ["nodejs_compat"], ${objects}
  bindings = [${binding} (name = "STORE", text = "${store}")]);
`
}
