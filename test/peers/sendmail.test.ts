/** Programs that call sendmail call `postern sendmail` by the script of its help: PHP's mail(), mutt, and cron's own flags. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { mailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { CRON, MUTT, PHP } from '../kit/abilities.ts'
import { Daemon } from '../kit/daemon.ts'
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

/** Only this cron sees these mounts. With an empty /run it is the first cron since the machine has started. */
const CRON_SCRIPT = `
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /etc/cron.d
mount --bind "$1/spool" /var/spool/cron
mount --bind "$1/empty" /etc/crontab
mount --bind "$1/sendmail" /usr/sbin/sendmail
exec cron -f
`

testWith([CRON], 'cron sends the output of a job by it', async () => {
  const directory = temporaryDirectory()
  const file = (name: string, text: string, mode: number): void => {
    writeFileSync(join(directory, name), text)
    chmodSync(join(directory, name), mode)
  }
  mkdirSync(join(directory, 'spool/crontabs'), { recursive: true })
  file('empty', '', 0o644)
  // Cron calls sendmail with its own environment, and not with that of the job.
  const setting = `POSTERN_SUBMIT_TO=smtp://127.0.0.1:${server.port}`
  file('sendmail', `#!/bin/sh\n${setting} exec '${script}' "$@"\n`, 0o755)
  // No job waits for a minute to begin: this one runs when cron starts.
  file('spool/crontabs/root', 'MAILTO=job@example.com\n@reboot echo "output of a job"\n', 0o600)
  await using cron = new Daemon(['unshare', '-m', '--kill-child', '--fork', 'sh', '-ec', CRON_SCRIPT, 'sh', directory])
  await expect
    .poll(async () => (await newest().catch(() => undefined))?.to, { timeout: 60_000 })
    .toEqual(['job@example.com'])
  const { text } = await newest()
  expect(text).toMatch(
    /\r\nFrom: root \(Cron Daemon\)\r\nTo: job@example\.com\r\nSubject: Cron <root@[^>]*> echo "output of a job"\r\n/,
  )
  expect(text).toMatch(/\r\n\r\noutput of a job\r\n$/)
  expect(cron.stderr).toBe('')
})
