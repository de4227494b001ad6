/** Fronts with a Worker behind them, in raw workerd, and the contract of Duplex over WebSockets inside it. */
import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { messageOf, MiB } from '../../../test/corpus/messages.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { sendByData, textOf } from '../../../test/corpus/send.ts'
import { OPENSSL } from '../../../test/kit/abilities.ts'
import { sample } from '../../../test/kit/sample.ts'
import { testWith } from '../../../test/kit/need.ts'
import { throughTls } from '../../../test/peers/openssl.ts'
import { contractRows, type Outcome } from '../../../test/contracts/outcome.ts'
import { testSuite } from '../../../packages/runtime/test/program.ts'
import {
  bundle,
  COMPATIBILITY_DATE,
  serveWorkerd,
  type Workerd,
} from '../../../packages/runtime/test/workerd/serving.ts'
import { certificateFiles, RUNTIMES, SECRET, startFront } from './front-harness.ts'

const CONFIG = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (modules = [(name = "worker", esModule = embed "worker.js")],
    compatibilityDate = "${COMPATIBILITY_DATE}", compatibilityFlags = ["nodejs_compat"],
    bindings = [(name = "SECRET", text = "${SECRET}")]))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")]);
`

let workerd: Workerd
let host: string

beforeAll(async () => {
  const files = { 'config.capnp': CONFIG, 'worker.js': await bundle(resolve(import.meta.dirname, 'front-worker.ts')) }
  workerd = await serveWorkerd(files, ['http'])
  host = `127.0.0.1:${workerd.ports['http']}`
})
afterAll(() => workerd?.[Symbol.asyncDispose]())

interface Kept {
  readonly remote: { readonly address: string }
  readonly tls?: { readonly protocol: string }
  readonly transmissionType: string
  readonly sha256: string
}

async function kept(): Promise<Kept[]> {
  return (await (await fetch(`http://${host}/kept`)).json()) as Kept[]
}

testSuite({
  suite: 'websocket',
  runtime: 'workerd',
  rows: contractRows([{ subject: 'WebSocket' }]),
  run: async () => (await (await fetch(`http://${host}/`)).json()) as Outcome[],
})

for (const runtime of sample(RUNTIMES, 1, 2)) {
  testWith(
    [OPENSSL],
    `mail through a front on ${runtime} to a Worker keeps its bytes, the client's address and its TLS`,
    async () => {
      const before = (await kept()).length
      const listens = ['--listen', 'smtp://127.0.0.1:0', '--listen', 'smtps://127.0.0.1:0']
      const front = await startFront(runtime, `ws://${host}/pipe`, listens)
      const [smtp = 0, smtps = 0] = front.ports
      const { cert } = certificateFiles()
      const small = messageOf(200_000).bytes
      const large = messageOf(25 * MiB).bytes
      const expected = []
      for (const bytes of [small, large]) {
        using client = await SocketClient.ready(smtp)
        expect(await sendByData(client, { bytes })).toMatchObject({ code: 250 })
        await client.quit()
        expected.push(['ESMTP', undefined, '127.0.0.1', bytes] as const)
      }
      for (const version of ['1.2', '1.3']) {
        for (const port of [smtp, smtps]) {
          const how = port === smtp ? ['-starttls', 'smtp'] : []
          const at = ['-connect', `127.0.0.1:${port}`, '-bind', '127.0.0.2', `-tls${version.replace('.', '_')}`]
          const said = ['EHLO a\r\n', 'MAIL FROM:<a@a.example>\r\n', 'RCPT TO:<b@b.example>\r\n', 'DATA\r\n']
          const heard = await throughTls(cert, [...how, ...at], [...said, textOf(small), 'QUIT\r\n'])
          expect(heard).toMatch(/^250 2\.0\.0 OK/m)
          expected.push(['ESMTPS', `TLSv${version}`, '127.0.0.2', small] as const)
        }
      }
      const found = (await kept()).slice(before)
      expect(
        found.map(({ transmissionType, tls, remote, sha256 }) => [
          transmissionType,
          tls?.protocol,
          remote.address,
          sha256,
        ]),
      ).toEqual(
        expected.map(([by, tls, from, bytes]) => [by, tls, from, createHash('sha256').update(bytes).digest('hex')]),
      )
      expect(await front.end('SIGTERM')).toBe(0)
    },
  )
}

test('a front with an unknown secret is rejected by the Worker', async () => {
  const front = await startFront('node', `ws://${host}/pipe`, undefined, 'a-secret-that-the-worker-has-never-heard-of')
  using client = await SocketClient.connect(front.ports[0] ?? 0)
  await client.expect(421, '4.3.0')
  await front.says(/Unexpected server response: 401/)
})
