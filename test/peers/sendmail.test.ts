/** Programs that call sendmail call `postern sendmail` by the script of its help: PHP's mail(), mutt, and cron's own flags. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { mailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { MUTT, PHP } from '../kit/abilities.ts'
import { temporaryDirectory } from '../kit/directory.ts'
import { testWith } from '../kit/need.ts'
import { cleanEnvironment, MAIN, type MailServer, run, serveMail } from '../kit/postern.ts'

let server: MailServer
let script: string
let env: Record<string, string>

beforeAll(async () => {
  server = await serveMail({ store: join(temporaryDirectory(), 'mail'), flags: [] })
  script = join(temporaryDirectory(), 'sendmail')
  writeFileSync(script, `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' sendmail "$@"\n`)
  chmodSync(script, 0o755)
  env = cleanEnvironment({ POSTERN_SUBMIT_TO: `smtp://127.0.0.1:${server.port}` })
})
afterAll(() => server?.[Symbol.asyncDispose]())

/** Returns the reverse-path, the recipients and the bytes of the newest message. */
async function newest(): Promise<{ readonly from: string; readonly to: readonly string[]; readonly text: string }> {
  const store = mailStore(fs(server.store))
  const [record] = (await store.list({ limit: 1 })).records
  const { body } = await store.load(record?.id ?? '')
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk.slice())
  const to = record?.forwardPaths.map(({ address }) => address) ?? []
  return { from: record?.reversePath.address ?? '?', to, text: Buffer.concat(chunks).toString() }
}

testWith([PHP], "PHP's mail() sends by it", async () => {
  const mail =
    'exit(mail(\'you@example.com\', \'By PHP\', "one\\n.\\ntwo\\n", "From: web@sender.example\\r\\nBcc: b@example.com") ? 0 : 1);'
  const { code } = await run('php', ['-d', `sendmail_path=${script} -t -i -fweb@sender.example`, '-r', mail], { env })
  expect(code).toBe(0)
  const { from, to, text } = await newest()
  expect([from, ...to]).toEqual(['web@sender.example', 'you@example.com', 'b@example.com'])
  expect(text).toMatch(
    /\r\nSubject: By PHP\r\nFrom: web@sender\.example\r\nDate: [^\r]+\r\nMessage-ID: [^\r]+\r\n\r\none\r\n\.\r\ntwo\r\n/,
  )
})

testWith([MUTT], 'mutt sends by it', async () => {
  const settings = [
    `set sendmail="${script}"`,
    'set from=me@sender.example',
    'set use_envelope_from=yes',
    'set copy=no',
  ]
  const flags = settings.flatMap((setting) => ['-e', setting])
  const args = ['-n', '-F', '/dev/null', ...flags, '-s', 'By mutt', '--', 'you@example.com']
  const { code, stderr } = await run('mutt', args, { env: { ...env, HOME: temporaryDirectory() }, input: 'hello\n' })
  expect([code, stderr]).toEqual([0, ''])
  const { from, to, text } = await newest()
  expect([from, ...to]).toEqual(['me@sender.example', 'you@example.com'])
  expect(text).toContain('\r\nSubject: By mutt\r\n')
})

testWith([], 'it takes the flags that cron gives', async () => {
  const input = 'From: root (Cron Daemon)\nTo: you@example.com\nSubject: Cron <root@vm> true\n\noutput\n'
  const { code, stderr } = await run(script, ['-i', '-FCronDaemon', '-B8BITMIME', '-oem', 'you@example.com'], {
    env,
    input,
  })
  expect([code, stderr]).toEqual([0, ''])
  const { to, text } = await newest()
  expect(to).toEqual(['you@example.com'])
  expect(text).toContain('\r\nFrom: root (Cron Daemon)\r\nTo: you@example.com\r\n')
})
