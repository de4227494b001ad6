/** Compressed sizes: of the engine, for a Worker or a page, of the part that a server needs, of the client, and of the Worker, alone and with the relay. `pnpm size` prints them. */
import { resolve } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { build, type BuildOptions } from 'esbuild'
import { NODE_BUFFER } from '../../apps/cloudflare/self-hosted/node-buffer.ts'

/** The greatest size of each, gzipped. */
export const MAX_GZIP_BYTES = {
  engine: 35_500,
  server: 32_650,
  client: 19_500,
  // 18 kB of it make the summary of each message.
  worker: 180_000,
  relayWorker: 258_000,
} as const

export interface Size {
  readonly bytes: number
  readonly gzipBytes: number
  readonly brotliBytes: number
  /** Every module of which something is in the bundle. */
  readonly modules: readonly string[]
}

/** Bundles the engine alone, as a user's bundler would. */
export function measureEngine(root: string): Promise<Size> {
  return measure(root, { entryPoints: ['packages/engine/src/index.ts'], minify: true, platform: 'neutral' })
}

/** Bundles what a program needs that only makes a server. */
export function measureServer(root: string): Promise<Size> {
  const contents = "export { createServer, reply } from './packages/engine/src/index.ts'"
  return measure(root, { stdin: { contents, resolveDir: root }, minify: true, platform: 'neutral' })
}

/** Bundles the client alone. */
export function measureClient(root: string): Promise<Size> {
  return measure(root, { entryPoints: ['packages/engine/src/client/index.ts'], minify: true, platform: 'neutral' })
}

/** Bundles the Worker that only receives. */
export function measureWorker(root: string): Promise<Size> {
  return measureDeployed(root, 'apps/cloudflare/src/worker.ts')
}

/** Bundles the Worker that sends on, too. */
export function measureRelayWorker(root: string): Promise<Size> {
  return measureDeployed(root, 'apps/cloudflare/relay/worker.ts')
}

/** Bundles as `wrangler deploy` does, which minifies only if the user asks for it. */
function measureDeployed(root: string, entry: string): Promise<Size> {
  return measure(root, {
    entryPoints: [entry],
    conditions: ['workerd', 'worker', 'browser'],
    external: ['node:*', 'cloudflare:*'],
    plugins: [NODE_BUFFER],
  })
}

async function measure(root: string, options: BuildOptions): Promise<Size> {
  const result = await build({
    ...options,
    absWorkingDir: root,
    bundle: true,
    format: 'esm',
    target: 'es2024',
    write: false,
    metafile: true,
    logLevel: 'silent',
  })
  const inputs = Object.values(result.metafile?.outputs ?? {})[0]?.inputs ?? {}
  const code = result.outputFiles?.[0]?.contents ?? new Uint8Array(0)
  return {
    bytes: code.length,
    gzipBytes: gzipSync(code, { level: 9 }).length,
    // It takes seconds, and only the printed table has it.
    get brotliBytes() {
      return brotliCompressSync(code).length
    },
    modules: Object.entries(inputs).flatMap(([module, { bytesInOutput }]) => (bytesInOutput > 0 ? [module] : [])),
  }
}

if (import.meta.main) {
  const root = resolve(import.meta.dirname, '../..')
  const sizes = {
    '@postern/engine, minified': await measureEngine(root),
    'the part of it that createServer needs': await measureServer(root),
    '@postern/engine/client, minified': await measureClient(root),
    'the Worker': await measureWorker(root),
    'the Worker with the relay': await measureRelayWorker(root),
  }
  for (const [what, { bytes, gzipBytes, brotliBytes }] of Object.entries(sizes)) {
    console.log(`${what}: ${bytes} bytes, ${gzipBytes} gzipped, ${brotliBytes} brotli`)
  }
}
