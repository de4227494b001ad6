/** Raw workerd, started with a Worker that is bundled here. */
import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { build } from 'esbuild'
import { NODE_BUFFER } from '../../../../apps/cloudflare/self-hosted/node-buffer.ts'
import { Daemon } from '../../../../test/kit/daemon.ts'
import { Scratch } from '../../../../test/kit/scratch.ts'

export interface Workerd extends AsyncDisposable {
  /** The port of each socket of the configuration, by name. */
  readonly ports: Readonly<Record<string, number>>
}

export const COMPATIBILITY_DATE = '2026-11-01'

/** Makes one module of a Worker and all that it imports. */
export async function bundle(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'import'],
    external: ['cloudflare:*', 'node:*'],
    plugins: [NODE_BUFFER],
  })
  return outputFiles[0]?.text ?? ''
}

/**
 * Runs `workerd serve` in a directory of these files.
 *
 * @param files By name; 'config.capnp' is the configuration, and names the others by `embed`.
 * @param sockets Names of its sockets, all of them on port 0.
 */
export async function serveWorkerd(
  files: Readonly<Record<string, string>>,
  sockets: readonly string[],
): Promise<Workerd> {
  const scratch = await Scratch.make()
  for (const [name, text] of Object.entries(files)) await writeFile(scratch.join(name), text)
  const workerd = createRequire(import.meta.url).resolve('workerd/bin/workerd')
  // It tells of its sockets on the standard output.
  const daemon = new Daemon([workerd, 'serve', '--experimental', '--control-fd=1', scratch.join('config.capnp')])
  const ports: Record<string, number> = {}
  for (const name of sockets) {
    await daemon.ready(new RegExp(`"socket":"${name}".*\n`))
    const event = daemon.stdout.split('\n').find((line) => line.includes(`"socket":"${name}"`)) ?? ''
    ports[name] = (JSON.parse(event) as { readonly port: number }).port
  }
  return {
    ports,
    async [Symbol.asyncDispose]() {
      await daemon[Symbol.asyncDispose]()
      await scratch[Symbol.asyncDispose]()
    },
  }
}
