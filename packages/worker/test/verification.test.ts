/** A Worker that verifies, inside of workerd: a long message waits in the store, and a forged one is refused. */
import { resolve } from 'node:path'
import { build } from 'esbuild'
import { Miniflare } from 'miniflare'
import { expect, test } from 'vitest'
import { recordsOf, signed } from '../../mail/test/trust/signed.ts'
import { COMPATIBILITY_DATE } from '../../runtime/test/workerd/serving.ts'

interface Kept {
  readonly refusal?: string
  readonly verdicts: readonly object[]
  readonly texts: readonly string[]
  readonly waiting: readonly string[]
}

const RECORDS = { ...recordsOf('sender.example'), '_dmarc.sender.example': 'v=DMARC1; p=reject' }

test('workerd keeps a long message that is proved, and refuses it after a change of an octet', async () => {
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
  const take = async (message: string): Promise<Kept> => {
    const body = JSON.stringify({ records: RECORDS, message: Buffer.from(message, 'latin1').toString('base64') })
    const answer = await miniflare.dispatchFetch('http://worker/', { method: 'POST', body })
    return (await answer.json()) as Kept
  }
  try {
    const forged = 'Authentication-Results: mx.example.com; dmarc=pass\r\n'
    const lines = 'a line of a long message\r\n'.repeat(20_000)
    const message = await signed(`From: ann@sender.example\r\nSubject: x\r\n\r\n${lines}`, { selector: 'r' })
    const kept = await take(forged + message)
    expect(kept.verdicts).toMatchObject([
      { dkim: [{ result: 'pass' }], sender: { domain: 'sender.example', by: 'dmarc' }, removedClaims: 1 },
    ])
    const [text = ''] = kept.texts
    expect(text).toMatch(/^Authentication-Results: mx\.example\.com;\r\n\tspf=none;\r\n\tdkim=pass /)
    expect(text.endsWith(message)).toBe(true)
    expect(text).not.toContain(forged)
    const refused = await take(message.replace('long', 'Long'))
    expect(refused).toMatchObject({ refusal: expect.stringMatching(/^5\.7\.26 /), texts: [] })
    expect([kept.waiting, refused.waiting]).toEqual([[], []])
  } finally {
    await miniflare.dispose()
  }
})
