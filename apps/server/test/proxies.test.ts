/** `--proxy-from`: the values that it accepts, the values that it refuses in one line, and the listeners that use it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { isProxyRange, proxyOverrides } from '../src/config/urls/proxies.ts'
import { readSettings } from '../src/config/settings.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { postern, serve } from '../../../test/kit/postern.ts'

describe('what --proxy-from accepts', () => {
  test('reads flags, words of a variable, and an array or one value in the file', async () => {
    const ranges = ['10.0.0.0/8', 'fd00::/8', '192.0.2.7']
    const config = join(temporaryDirectory(), 'own.config.ts')
    writeFileSync(config, `export default { proxyFrom: ${JSON.stringify(ranges)} }`)
    const single = join(temporaryDirectory(), 'own.config.ts')
    writeFileSync(single, "export default { proxyFrom: 'all' }")
    const sources = [
      await readSettings({ proxyFrom: ranges }, {}),
      await readSettings({}, { POSTERN_PROXY_FROM: ranges.join(' ') }),
      await readSettings({ config }, {}),
    ]
    for (const { options } of sources) expect(options.proxyFrom).toEqual(ranges)
    expect((await readSettings({ config: single }, {})).options.proxyFrom).toEqual(['all'])
    expect((await readSettings({}, {})).options.proxyFrom).toEqual([])
  })

  test('trusts nobody by default, the given ranges, or all', () => {
    const local = { family: 'ipv4', address: '127.0.0.1', port: 1 } as const
    expect(proxyOverrides([])).toEqual({})
    expect(proxyOverrides(['10.0.0.0/8']).proxyProtocol?.trusted.includes(local)).toBe(false)
    expect(proxyOverrides(['10.0.0.0/8', '127.0.0.1']).proxyProtocol?.trusted.includes(local)).toBe(true)
    expect(proxyOverrides(['10.0.0.0/8', 'all']).proxyProtocol?.trusted.includes(local)).toBe(true)
    expect(['ALL', '*', 'localhost', '10.0.0.1/8'].filter(isProxyRange)).toEqual([])
  })
})

describe('--proxy-from fails with one line and exit code 2', () => {
  const run = async (args: readonly string[], env: Record<string, string> = {}): Promise<string> => {
    const { code, stdout, stderr } = await postern(['serve', '--store', 'memory:', ...args], { env })
    expect({ code, stdout, lines: stderr.trim().split('\n').length }).toEqual({ code: 2, stdout: '', lines: 1 })
    return stderr
  }

  test.each(['10.0.0.1/8', '10.0.0.0/33', 'localhost', '::1/129', '[::1]'])('%s', async (range) => {
    const said = await run(['--listen', 'smtp://127.0.0.1:0', '--proxy-from', '192.0.2.1', '--proxy-from', range])
    expect(said).toContain(`--proxy-from: ${JSON.stringify(range)} is not an IP address, a range such as 10.0.0.0/8`)
  })

  test('for a range in a variable, which it names', async () => {
    expect(await run([], { POSTERN_PROXY_FROM: '10.0.0.0/8 nobody' })).toContain('POSTERN_PROXY_FROM: "nobody" is not')
  })

  test('if the server listens only on Unix sockets', async () => {
    const said = await run(['--listen', `smtp+unix:${join(temporaryDirectory(), 'socket')}`, '--proxy-from', 'all'])
    expect(said).toContain('--proxy-from: needs a TCP address to listen on')
  })
})

test('the log names the option that makes a client a proxy', async () => {
  const listens = ['smtp://127.0.0.1:0?proxy=127.0.0.1', 'smtp://127.0.0.1:0?proxy=127.0.0.3', 'smtp://127.0.0.1:0']
  const given = ['--proxy-from', '127.0.0.2', '--proxy-from', '127.0.0.3']
  const server = await serve(['--store', 'memory:', ...listens.flatMap((url) => ['--listen', url]), ...given])
  for (const [at, localAddress] of [
    [0, '127.0.0.1'],
    [2, '127.0.0.2'],
    [2, '127.0.0.3'],
  ] as const) {
    using client = await SocketClient.connect(server.ports[at] as number, { localAddress })
    void client.send('EHLO no.header\r\n')
    await client.ended()
  }
  await server.says(/from --proxy-from or proxy= of --listen without/)
  expect(server.output.match(/it came from .* without a PROXY header/g)).toEqual([
    'it came from proxy= of --listen without a PROXY header',
    'it came from --proxy-from without a PROXY header',
    'it came from --proxy-from or proxy= of --listen without a PROXY header',
  ])
})

test('a rejecting error hook for a connection without a session does not end the server', async () => {
  const config = join(temporaryDirectory(), 'own.config.ts')
  // There is no session to pass to the hook.
  writeFileSync(config, 'export default { proxyFrom: "all", handlers: { async error(_, session) { session.id } } }')
  const server = await serve(['--config', config, '--store', 'memory:'])
  for (let i = 0; i < 2; i++) {
    using client = await SocketClient.connect(server.port)
    void client.send('EHLO no.header\r\n')
    await client.ended()
  }
  expect(await server.end('SIGTERM'), server.stderr).toBe(0)
})
