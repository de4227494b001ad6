/** The engine's size, minified and compressed: what a Worker or a page pays for it. `pnpm size` prints it. */
import { resolve } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { build } from 'esbuild'

export interface EngineSize {
  readonly minifiedBytes: number
  readonly gzipBytes: number
  readonly brotliBytes: number
  /** Modules from outside the engine: there are to be none. */
  readonly foreign: readonly string[]
}

/** Bundles the engine alone, as a user's bundler would. */
export async function measureEngine(root: string): Promise<EngineSize> {
  const result = await build({
    entryPoints: [resolve(root, 'packages/engine/src/index.ts')],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'neutral',
    target: 'es2024',
    write: false,
    metafile: true,
    logLevel: 'silent',
  })
  const code = result.outputFiles[0]?.contents ?? new Uint8Array(0)
  return {
    minifiedBytes: code.length,
    gzipBytes: gzipSync(code, { level: 9 }).length,
    brotliBytes: brotliCompressSync(code).length,
    foreign: Object.keys(result.metafile.inputs).filter((input) => !input.includes('packages/engine/src/')),
  }
}

if (import.meta.main) {
  const { minifiedBytes, gzipBytes, brotliBytes } = await measureEngine(resolve(import.meta.dirname, '../..'))
  console.log(`@postern/engine: ${minifiedBytes} bytes minified, ${gzipBytes} gzipped, ${brotliBytes} brotli`)
}
