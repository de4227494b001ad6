/** `guards` of the config file: when they are asked, and what the log says of them. */
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { type Postern, serve } from '../../../test/kit/postern.ts'

/** Each hook that is asked adds its name to the text of the refusal, so that the client sees the order. */
const CONFIG = `
import { reply } from '@postern/engine'
const asked = []
const told = (localPart, name) => {
  asked.push(name)
  if (localPart === name) return reply(550, '5.7.1', asked.splice(0).join(' '))
}
class Counting {
  name = 'counting'
  recipients = new Map([['of this guard', 0]])
  async rcpt({ localPart }, session) {
    this.recipients.set(session.id, (this.recipients.get(session.id) ?? 0) + 1)
    if (localPart === 'count') return reply(450, '4.7.1', 'recipient ' + this.recipients.get(session.id))
    return told(localPart, 'counting')
  }
}
export default {
  store: 'maildir:./mail?create=any',
  domains: 'example.com',
  handlers: { rcpt: ({ localPart }) => told(localPart, 'handlers') },
  guards: [
    { name: 'first', rcpt: ({ localPart }) => told(localPart, 'first') },
    new Counting(),
    {
      name: 'last',
      connect() { asked.length = 0 },
      rcpt({ localPart }) {
        if (localPart === 'throw') throw new Error('a bug of mine')
        return told(localPart, 'last')
      },
    },
  ],
}
`

async function start(...args: readonly string[]): Promise<Postern> {
  const cwd = temporaryDirectory()
  symlinkSync(join(import.meta.dirname, '../node_modules'), join(cwd, 'node_modules'))
  writeFileSync(join(cwd, 'postern.config.ts'), CONFIG)
  return serve(args, { cwd })
}

async function inTransaction(running: Postern): Promise<SocketClient> {
  const client = await SocketClient.ready(running.ports[0] as number)
  await client.command('MAIL FROM:<a@example.net>')
  return client
}

describe.concurrent('guards of the config file', () => {
  test('are asked after handlers and domains, in their order, and the first refusal counts', async () => {
    const client = await inTransaction(await start())
    const ask = async (recipient: string): Promise<string> => (await client.command(`RCPT TO:<${recipient}>`)).text
    expect(await ask('handlers@example.com')).toBe('550 5.7.1 handlers')
    expect(await ask('first@example.com')).toBe('550 5.7.1 handlers first')
    expect(await ask('last@example.com')).toBe('550 5.7.1 handlers first counting last')
    expect(await ask('first@example.net')).toBe('550 5.7.1 No mail is taken for this domain here')
    expect(await ask('counting@example.com')).toBe('550 5.7.1 handlers handlers first counting')
    expect(await ask('count@example.com')).toBe('450 4.7.1 recipient 3')
    expect(await ask('ann@example.com')).toMatch(/^250 /)
    client.end()
  })

  test('are named in the log when they refuse or throw', async () => {
    const running = await start()
    const client = await inTransaction(running)
    expect((await client.command('RCPT TO:<count@example.com>')).text).toBe('450 4.7.1 recipient 1')
    await running.says(/"message":"refused".*"verb":"RCPT","guard":"counting","reply":"450 4\.7\.1 recipient 1"/)
    expect((await client.command('RCPT TO:<ann@example.net>')).text).toMatch(/^550 /)
    await running.says(/"message":"refused".*"verb":"RCPT","guard":"domains","reply":"550 /)
    expect((await client.command('RCPT TO:<throw@example.com>')).text).toMatch(/^451 4\.3\.0 /)
    await running.says(/"message":"guards\.last\.rcpt threw".*"a bug of mine"/)
    client.end()
  })

  test('are asked by every worker', async () => {
    const running = await start('--workers', '2')
    for (let round = 0; round < 4; round++) {
      const client = await inTransaction(running)
      expect((await client.command('RCPT TO:<last@example.com>')).text).toBe('550 5.7.1 handlers first counting last')
      client.end()
    }
  })
})
