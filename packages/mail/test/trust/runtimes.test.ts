/** The same verdicts on each runtime: the test suite of RFC 7208, signatures of others, and awkward messages. */
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'
import { Miniflare } from 'miniflare'
import { describe, expect, test } from 'vitest'
import { SPF_SUITE } from '../../../../test/kit/abilities.ts'
import { COMMANDS } from '../../../../test/kit/commands.ts'
import { temporaryDirectory } from '../../../../test/kit/directory.ts'
import { testWith } from '../../../../test/kit/need.ts'
import { sample } from '../../../../test/kit/sample.ts'
import { mustRun } from '../../../../test/kit/tool.ts'
import { COMPATIBILITY_DATE } from '../../../runtime/test/workerd/serving.ts'
import { type Job, run, type Verified } from './job.ts'
import { NOW_MS, recordsOf, RFC8463, RFC8463_RECORDS, signed } from './signed.ts'
import { readSpfSuite } from './spf-suite.ts'
import { textZone } from './zone.ts'

/** Runs a job inside a runtime. */
const RUNTIMES: Readonly<Record<string, (job: Job) => Promise<Verified[]>>> = {
  node: (job) => runProgram('node', job),
  deno: (job) => runProgram('deno', job),
  bun: (job) => runProgram('bun', job),
  workerd: runWorker,
}

describe.each(Object.entries(RUNTIMES))('%s', (_, runOn) => {
  testWith([SPF_SUITE], 'gives each result of the test suite of RFC 7208', async () => {
    const { zones, messages, wanted } = await readSpfSuite()
    expect(wanted.length).toBe(203)
    const verified = await runOn({ zones, messages, chunk: 1000, nowMs: 0 })
    const wrong = verified.flatMap(({ verdicts: { spf } }, at) => {
      const { name, results } = wanted[at] as (typeof wanted)[number]
      return results.includes(spf?.result ?? '') ? [] : [`${name}: ${spf?.result}, not ${results.join(' or ')}`]
    })
    expect(wrong).toEqual([])
  })

  test('gives the same verdicts of signatures, DMARC and ARC', async () => {
    const job = await signatureJob()
    const wanted = await run(job)
    expect(wanted.map(({ verdicts }) => verdicts.dkim?.map(({ result }) => result))).toEqual([
      ['pass', 'pass'],
      ['fail', 'fail'],
      ...Array.from({ length: 4 }, () => ['pass']),
      ['fail'],
    ])
    expect(await runOn(job)).toEqual(wanted)
  })
})

const DMARC = { '_dmarc.sender.example': 'v=DMARC1; p=reject', '_dmarc.example.com': 'v=DMARC1; p=quarantine' }

async function signatureJob(): Promise<Job> {
  const text = 'From: Ann <ann@sender.example>\r\nSubject: \xe4 \r\n\tb\r\n\r\nText  of\t\r\n\r\nit\r\n'
  const forms = ['relaxed/relaxed', 'simple/simple']
  const messages = [
    RFC8463,
    RFC8463.replace('game', 'gams'),
    ...(await Promise.all(
      forms.flatMap((form) => (['r', 'e'] as const).map((selector) => signed(text, { form, selector }))),
    )),
    (await signed(text)).replace('it\r\n', 'is\r\n'),
  ]
  return {
    zones: [textZone({ ...RFC8463_RECORDS, ...recordsOf('sender.example'), ...DMARC })],
    messages: messages.map((message) => ({
      zone: 0,
      address: '2001:db8::1',
      hello: 'client.example',
      reversePath: 'x@sender.example',
      message: Buffer.from(message, 'latin1').toString('base64'),
    })),
    chunk: 100,
    nowMs: NOW_MS,
  }
}

test.for(sample(['node', 'deno', 'bun'] as const, 1))(
  '%s needs no more memory for a large message',
  async (runtime) => {
    const [program, ...args] = COMMANDS[runtime]
    const one = await signed('From: ann@sender.example\r\nSubject: large\r\n\r\n')
    const field = one.slice(0, one.indexOf('From:'))
    for (const line of ['a line of text  \r\n', 'x', '\n']) {
      const file = resolve(import.meta.dirname, 'program.ts')
      const zone = JSON.stringify(recordsOf('sender.example'))
      const { stdout } = await mustRun(program, [...args, file, 'memory', '80', line, zone, field])
      expect(Number(stdout.toString())).toBeLessThan(40 * 1024 * 1024)
    }
  },
)

async function runProgram(runtime: 'node' | 'deno' | 'bun', job: Job): Promise<Verified[]> {
  const file = join(temporaryDirectory(), 'job.json')
  writeFileSync(file, JSON.stringify(job))
  const [program, ...args] = COMMANDS[runtime]
  const { stdout } = await mustRun(program, [...args, resolve(import.meta.dirname, 'program.ts'), file])
  return JSON.parse(stdout.toString()) as Verified[]
}

async function runWorker(job: Job): Promise<Verified[]> {
  const contents = await bundled(resolve(import.meta.dirname, 'worker.ts'))
  const miniflare = new Miniflare({
    workers: [
      {
        config: {
          name: 'verifier',
          compatibilityDate: COMPATIBILITY_DATE,
          compatibilityFlags: ['nodejs_compat'],
          manifest: {
            mainModule: 'worker.js',
            modulesRoot: '/',
            modules: { 'worker.js': { type: 'esm', contents } },
          },
        },
      },
    ],
  })
  try {
    const answer = await miniflare.dispatchFetch('http://worker/', { method: 'POST', body: JSON.stringify(job) })
    return (await answer.json()) as Verified[]
  } finally {
    await miniflare.dispose()
  }
}

/** `mailauth` is CommonJS, and asks for modules of Node by `require`. */
async function bundled(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    platform: 'node',
    conditions: ['workerd', 'worker', 'import'],
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire('/');" },
  })
  return outputFiles[0]?.text ?? ''
}
