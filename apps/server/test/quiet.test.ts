/** `--quiet-from`: clients whose sessions the debug log leaves out. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { serveMail } from '../../../test/kit/postern.ts'

test('the debug log leaves out the sessions of these clients, but not their refusals and messages', async () => {
  const flags = ['--debug', '--log-format', 'json', '--quiet-from', '127.0.0.2', '--domains', 'example.com']
  const running = await serveMail({ store: join(temporaryDirectory(), 'mail'), flags })
  for (const localAddress of ['127.0.0.2', '127.0.0.1']) {
    const client = await SocketClient.connect(running.port, { localAddress })
    await client.reply()
    await client.command(`EHLO from-${localAddress}.example`, 250)
    await client.command('MAIL FROM:<a@b.example>', 250)
    await client.command('RCPT TO:<c@elsewhere.example>', 550)
    await client.command('RCPT TO:<d@example.com>', 250)
    await client.command('DATA', 354)
    await client.command('Subject: hello\r\n\r\n.', 250)
    await client.quit()
  }
  await running.says(/"message":"closed"/)
  const log = running.output.split('\n').filter((line) => line.includes('127.0.0.2'))
  expect(log).toEqual([
    expect.stringMatching(/"message":"refused".*"remote":"127\.0\.0\.2"/),
    expect.stringMatching(/"message":"message kept".*"remote":"127\.0\.0\.2"/),
  ])
  expect(running.output).toContain('EHLO from-127.0.0.1.example')
})

test('the debug log leaves out that a quiet proxy connects and sends nothing', async () => {
  const proxies = ['127.0.0.1', '127.0.0.2', '127.0.0.3'].flatMap((address) => ['--proxy-from', address])
  const flags = ['--debug', '--log-format', 'json', '--quiet-from', '127.0.0.2', ...proxies]
  const running = await serveMail({ store: join(temporaryDirectory(), 'mail'), flags })
  for (const localAddress of ['127.0.0.2', '127.0.0.1']) {
    const client = await SocketClient.connect(running.port, { localAddress })
    client.close()
  }
  await running.says(/"message":"a proxy connected and sent nothing".*"remote":"127\.0\.0\.1"/)
  // A proxy that sends something else is a mistake of the operator, so it is logged.
  const client = await SocketClient.connect(running.port, { localAddress: '127.0.0.2' })
  void client.send('EHLO no.header\r\n')
  await client.ended()
  await running.says(/without a PROXY header/)
  const log = running.output.split('\n').filter((line) => line.includes('127.0.0.2'))
  expect(log).toEqual([expect.stringMatching(/without a PROXY header.*"remote":"127\.0\.0\.2"/)])
})
