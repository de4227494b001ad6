/** Mail that msmtp submits goes on through the relay to Postfix and Exim, signed by DKIM, and dkimpy verifies it. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { generateKey, SigningKey } from '@postern/relay/signing'
import { startWorkerd } from '../../apps/cloudflare/test/workerd.ts'
import { RUNTIME_NAMES, RUNTIMES } from '../../apps/server/test/runtimes.ts'
import { DEBIAN_PYTHON, DKIMPY, DOVECOT_LMTP, EXIM, MSMTP_SASL, POSTFIX } from '../kit/abilities.ts'
import { missingOf, testWith } from '../kit/need.ts'
import { postern, serveMail } from '../kit/postern.ts'
import { sample } from '../kit/sample.ts'
import { Scratch } from '../kit/scratch.ts'
import { mustRun, runTool } from '../kit/tool.ts'
import { DovecotReceiver } from './receivers/dovecot.ts'
import { startExim } from './receivers/exim.ts'
import { startPostfix } from './receivers/postfix.ts'
import {
  type Files,
  makeFiles,
  PASSWORD as RECEIVER_PASSWORD,
  type Receiver,
  USER as RECEIVER_USER,
} from './receivers/receiver.ts'

/** A receiver keeps one message for each recipient. */
const RECIPIENT = { node: 'bob@postern.example', deno: 'cat@postern.example', bun: 'dog@postern.example' } as const
const WORKER_RECIPIENT = 'large@postern.example'
const DOMAIN = 'near.example'
const USER = `ann@${DOMAIN}`
const PASSWORD = 'tiger'
const VERIFY = join(import.meta.dirname, '../../packages/relay/test/signing/verify.py')

interface Peer {
  readonly name: string
  readonly needs: Parameters<typeof testWith>[0]
  start(scratch: Scratch, files: Files): Promise<Receiver>
}

const PEERS: readonly Peer[] = [
  {
    name: 'postfix',
    needs: [POSTFIX, DOVECOT_LMTP],
    async start(scratch, files) {
      const dovecot = await DovecotReceiver.start(scratch, files)
      const postfix = await startPostfix(scratch, files, dovecot)
      return {
        ...postfix,
        async [Symbol.asyncDispose]() {
          await postfix[Symbol.asyncDispose]()
          await dovecot[Symbol.asyncDispose]()
        },
      }
    },
  },
  { name: 'exim', needs: [EXIM], start: startExim },
]

describe.each(PEERS)('$name', ({ needs, start }) => {
  const all = [...needs, MSMTP_SASL, DKIMPY]
  let scratch: Scratch
  let files: Files
  let receiver: Receiver | undefined

  beforeAll(async () => {
    if (missingOf(all) !== '') return
    scratch = await Scratch.make()
    files = await makeFiles(scratch)
    receiver = await start(scratch, files)
  })
  afterAll(async () => {
    await receiver?.[Symbol.asyncDispose]()
    await scratch?.[Symbol.asyncDispose]()
  })

  for (const runtime of sample(RUNTIME_NAMES, 1)) {
    testWith(all, `a message that a user submits on ${runtime} arrives, and its signatures are valid`, async () => {
      const home = await Scratch.make()
      const cwd = home.path
      await postern(['domain', 'add', DOMAIN], { cwd })
      await postern(['user', 'add', USER], { cwd, input: `${PASSWORD}\n` })
      await mkdir(home.join('dkim'))
      const { keys, records } = await makeKeys()
      for (const { selector, key } of keys) {
        await writeFile(home.join('dkim', `${DOMAIN}.${selector}.pem`), key, { mode: 0o600 })
      }
      await using server = await serveMail({
        store: home.join('mail'),
        cwd,
        command: RUNTIMES[runtime],
        listen: ['submission://127.0.0.1:0'],
        flags: [
          '--relay',
          receiver?.url ?? '',
          '--dkim',
          'dkim',
          '--hostname',
          `mx.${DOMAIN}`,
          '--tls-key',
          files.keyFile,
          '--tls-cert',
          files.certFile,
        ],
      })
      const to = RECIPIENT[runtime]
      await submit(server.port, files.certFile, to, `onward from ${runtime}`)
      await server.says(/"message":"message sent on".*"to":"\w+@postern\.example"/)
      const message = await (receiver as Receiver).taken(to)
      expect(message.toString()).toContain(`Subject: onward from ${runtime}\r\n`)
      await expectSigned(message, records)
    })
  }

  testWith(
    all,
    'a message that a user submits to a Worker arrives through it, and its signatures are valid',
    async () => {
      const home = await Scratch.make()
      const cwd = home.path
      await postern(['domain', 'add', DOMAIN], { cwd })
      await postern(['user', 'add', USER], { cwd, input: `${PASSWORD}\n` })
      const { keys, records } = await makeKeys()
      const address = (receiver?.url ?? '').replace('smtp://', '')
      await using worker = await startWorkerd({
        directory: home.join('mail'),
        keyFile: files.keyFile,
        certFile: files.certFile,
        relayCaFile: files.certFile,
        settings: {
          POSTERN_ACCOUNTS: await readFile(home.join('accounts.json'), 'utf8'),
          POSTERN_RELAY: `smtp+starttls://${encodeURIComponent(RECEIVER_USER)}:${RECEIVER_PASSWORD}@${address}`,
          POSTERN_DKIM: JSON.stringify(keys),
        },
      })
      await submit(worker.smtp, files.certFile, WORKER_RECIPIENT, 'onward from a Worker')
      const message = await (receiver as Receiver).taken(WORKER_RECIPIENT)
      expect(message.toString()).toContain('Subject: onward from a Worker\r\n')
      await expectSigned(message, records)
    },
  )
})

interface Key {
  readonly domain: string
  readonly selector: string
  readonly key: string
}

/** Makes keys of both types, and their records. */
async function makeKeys(): Promise<{ readonly keys: readonly Key[]; readonly records: Record<string, string> }> {
  const keys: Key[] = []
  const records: Record<string, string> = {}
  for (const selector of ['rsa', 'ed25519'] as const) {
    const key = await generateKey(selector)
    const { recordName, record } = new SigningKey(key, { domain: DOMAIN, selector })
    records[recordName] = record
    keys.push({ domain: DOMAIN, selector, key })
  }
  return { keys, records }
}

/** Submits a message with msmtp, by STARTTLS and a login. */
async function submit(port: number, caFile: string, to: string, subject: string): Promise<void> {
  const tls = ['--tls=on', `--tls-trust-file=${caFile}`, '--tls-host-override=localhost']
  const login = ['--auth=scram-sha-256', `--user=${USER}`, `--passwordeval=echo ${PASSWORD}`]
  const { code, stderr } = await runTool(
    'msmtp',
    ['--host=127.0.0.1', `--port=${port}`, ...tls, ...login, `--from=${USER}`, to],
    { input: `From: ${USER}\nTo: ${to}\nSubject: ${subject}\n\nHello,\n.dot\n` },
  )
  expect([code, stderr.toString()]).toEqual([0, ''])
}

async function expectSigned(message: Buffer, records: Readonly<Record<string, string>>): Promise<void> {
  const { stdout } = await mustRun(DEBIAN_PYTHON, [VERIFY], {
    input: JSON.stringify({ records, messages: [message.toString('base64')], signatures: 2 }),
  })
  expect(JSON.parse(stdout.toString())).toEqual([['pass', 'pass']])
}
