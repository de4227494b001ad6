/** Verifies messages inside of workerd. */
import { resolve } from 'node:path'
import { build } from 'esbuild'
import { Miniflare } from 'miniflare'
import { COMPATIBILITY_DATE } from '../../runtime/test/workerd/serving.ts'

/** What a Worker did with a message. */
export interface Kept {
  readonly refusal?: string
  readonly verdicts: readonly object[]
  readonly texts: readonly string[]
  readonly waiting: readonly string[]
}

export interface VerifyingWorker extends AsyncDisposable {
  /** Hands a message to the Worker. One character is one octet. */
  take(message: string): Promise<Kept>
}

/** @param records Records of TXT by their names */
export async function verifyingWorker(records: Readonly<Record<string, string>>): Promise<VerifyingWorker> {
  const { outputFiles } = await build({
    entryPoints: [resolve(import.meta.dirname, 'verification-worker.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    platform: 'node',
    conditions: ['workerd', 'worker', 'import'],
    external: ['cloudflare:*'],
    // `mailauth` is CommonJS, and asks for modules of Node by `require`.
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire('/');" },
  })
  const miniflare = new Miniflare({
    workers: [
      {
        config: {
          name: 'receiver',
          compatibilityDate: COMPATIBILITY_DATE,
          compatibilityFlags: ['nodejs_compat'],
          manifest: {
            mainModule: 'worker.js',
            modulesRoot: '/',
            modules: { 'worker.js': { type: 'esm', contents: outputFiles[0]?.text ?? '' } },
          },
        },
      },
    ],
  })
  return {
    async take(message) {
      const body = JSON.stringify({ records, message: Buffer.from(message, 'latin1').toString('base64') })
      const answer = await miniflare.dispatchFetch('http://worker/', { method: 'POST', body })
      return (await answer.json()) as Kept
    },
    [Symbol.asyncDispose]: () => miniflare.dispose(),
  }
}
