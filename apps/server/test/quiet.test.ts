/** `--quiet-from`: clients whose sessions the debug log leaves out. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { serveMail } from '../../../test/kit/postern.ts'

test('the debug log leaves out the sessions of these clients, but not their refusals', async () => {
  const flags = ['--debug', '--log-format', 'json', '--quiet-from', '127.0.0.2', '--domains', 'example.com']
  const running = await serveMail({ store: join(temporaryDirectory(), 'mail'), flags })
  for (const localAddress of ['127.0.0.2', '127.0.0.1']) {
    const client = await SocketClient.connect(running.port, { localAddress })
    await client.reply()
    await client.command(`EHLO from-${localAddress}.example`, 250)
    await client.command('MAIL FROM:<a@b.example>', 250)
    await client.command('RCPT TO:<c@elsewhere.example>', 550)
    await client.quit()
  }
  await running.says(/"message":"closed"/)
  const log = running.output.split('\n').filter((line) => line.includes('127.0.0.2'))
  expect(log).toEqual([expect.stringMatching(/"message":"refused".*"remote":"127\.0\.0\.2"/)])
  expect(running.output).toContain('EHLO from-127.0.0.1.example')
})
