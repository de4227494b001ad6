/** Raw workerd, started with a Worker that is bundled here. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { build } from 'esbuild'

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
  const directory = await mkdtemp(join(tmpdir(), 'postern-workerd-'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text)
  const workerd = createRequire(import.meta.url).resolve('workerd/bin/workerd')
  const child = spawn(workerd, ['serve', '--experimental', '--control-fd=3', join(directory, 'config.capnp')], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  })
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-10_000)))
  const gone = new Promise<void>((resolve) => child.on('close', () => resolve()))
  async function stop(): Promise<void> {
    child.kill('SIGKILL')
    await gone
    await rm(directory, { recursive: true })
  }
  const ports: Record<string, number> = {}
  for await (const line of createInterface({ input: child.stdio[3] as Readable })) {
    const { event, socket, port } = JSON.parse(line) as { event: string; socket: string; port: number }
    if (event === 'listen') ports[socket] = port
    if (sockets.every((name) => ports[name] !== undefined)) return { ports, [Symbol.asyncDispose]: stop }
  }
  await stop()
  throw new Error(`workerd ended before it listened\n${stderr}`)
}
