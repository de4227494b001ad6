/** `handlers.kept`: called after the store has the message, and before the client gets 250. It can't refuse. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { type Postern, serve } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'
import { listed } from './mail.ts'

/** Starts a server with this hook. */
async function serveWith(kept: string, args: readonly string[] = []): Promise<Postern> {
  const cwd = temporaryDirectory()
  writeFileSync(
    join(cwd, 'postern.config.mjs'),
    `import { readdirSync } from 'node:fs'
export default ({ reply, Refusal }) => ({ handlers: { kept: ${kept} } })`,
  )
  return serve(args, { cwd })
}

/** Sends a message. @returns the reply to it, and the ids that the store then has */
async function sent(running: Postern): Promise<{ reply: string; ids: string[] }> {
  const client = await SocketClient.ready(running.ports[0] ?? 0)
  for (const line of ['MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.com>', 'DATA']) await client.command(line)
  const reply = (await client.command('Subject: Hello\r\n\r\nHello.\r\n.')).text
  const { records } = await listed(join(running.cwd, 'mail'))
  client.end()
  return { reply, ids: records.map(({ id }) => id) }
}

test.concurrent('kept has the record and the session of a message that is in the store, before the client gets 250', async () => {
  const running = await serveWith(`async (record, session) => {
    const files = readdirSync('mail', { recursive: true }).filter((name) => name.includes(record.id))
    await new Promise((resolve) => setTimeout(resolve, 10))
    console.log('KEPT', record.id, record.size > 0, session.hello.name, files.length > 0)
  }`)
  const { reply, ids } = await sent(running)
  expect(reply).toBe(`250 2.0.0 OK queued as ${ids[0]}`)
  expect(running.stdout).toContain(`KEPT ${ids[0]} true client.example true\n`)
})

const WRONG: readonly (readonly [string, string, RegExp])[] = [
  ['throws', `() => { throw new Error('the bus is down') }`, /"handlers\.kept threw".*the bus is down/],
  ['rejects', `() => Promise.reject(new Error('the bus is down'))`, /"handlers\.kept threw".*the bus is down/],
  [
    'throws a Refusal',
    `() => { throw new Refusal(reply(550, '5.7.1', 'No')) }`,
    /"handlers\.kept threw".*550 5\.7\.1 No/,
  ],
  [
    'returns a Reply',
    `() => reply(550, '5.7.1', 'No')`,
    /"handlers\.kept gave an invalid answer".*return nothing: the message is stored/,
  ],
  ['never answers', '() => new Promise(() => {})', /"handlers\.kept did not answer in time"/],
]
test.concurrent.each(sample(WRONG, 1))(
  'if kept %s, the client gets 250 and the log names the hook',
  async (_, kept, logged) => {
    const running = await serveWith(kept, ['--hook-timeout-ms', '2s'])
    const { reply, ids } = await sent(running)
    expect(reply).toBe(`250 2.0.0 OK queued as ${ids[0]}`)
    await running.says(logged)
  },
)

test.concurrent('what kept returns besides a Reply does not matter', async () => {
  const running = await serveWith('() => 5')
  expect((await sent(running)).reply).toMatch(/^250 /)
  running.signal('SIGTERM')
  expect(await running.ended).toBe(0)
  expect(running.stderr).not.toContain('handlers.kept')
})
