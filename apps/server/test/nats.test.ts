/** A queue in NATS by the program: `postern serve` with `postern queue` beside it, and what is refused. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { describe, expect, test } from 'vitest'
import { NATS } from '../../../test/kit/abilities.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { NatsServer } from '../../../test/kit/nats-server.ts'
import { testWith } from '../../../test/kit/need.ts'
import { freePort } from '../../../test/kit/port.ts'
import { postern, type Result, serveMail } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'
import { PASSWORD, PASSWORD_HASH, USER } from '../../../test/contracts/wire/user.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'

const PLAIN = Buffer.from(`\0${USER}\0${PASSWORD}`).toString('base64')
const RELAY = ['--auth-without-tls', '--domains', 'near.example', '--users', `${USER}:${PASSWORD_HASH}`]
const LOGIN = { NATS_USER: 'ann', NATS_PASSWORD: 's3cretOfNats' }

async function submit(port: number, to: string): Promise<void> {
  const client = await SocketClient.ready(port)
  await client.command(`AUTH PLAIN ${PLAIN}`, 235)
  await client.command(`MAIL FROM:<${USER}>`, 250)
  await client.command(`RCPT TO:<${to}>`, 250)
  await client.command('DATA', 354)
  await client.command('Subject: waiting\r\n\r\nhello\r\n.', 250)
  await client.quit()
}

for (const runtime of sample(RUNTIME_NAMES, 1)) {
  testWith([NATS], `on ${runtime}, mail waits in NATS, is held, goes on after a retry, or is deleted`, async () => {
    const lines = [`authorization { user: ${LOGIN.NATS_USER}, password: "${LOGIN.NATS_PASSWORD}" }`]
    await using nats = await NatsServer.start({ lines })
    const [cwd, port] = [temporaryDirectory(), await freePort()]
    const command = RUNTIMES[runtime]
    // By its name, which the hosts file has.
    const where = ['--queue', `nats://localhost:${nats.port}?stream=mail`, '--spool', 'fs:spool']
    const server = await serveMail({
      store: join(cwd, 'mail'),
      cwd,
      command,
      env: LOGIN,
      flags: [...where, ...RELAY, '--relay', `smtp://127.0.0.1:${port}`],
    })
    const run = (...args: string[]): Promise<Result> =>
      postern(['queue', ...args, ...where], { cwd, command, env: LOGIN })
    const listed = async (): Promise<{ id: string; deliveries: { state: string; attempts: number }[] }[]> =>
      (JSON.parse((await run('list', '--json')).stdout) as { entries: [] }).entries

    await submit(server.port, 'bob@far.example')
    await server.says(/"message":"message waits for another attempt".*"dueAt"/)
    const [waiting] = await listed()
    expect(waiting?.deliveries).toMatchObject([{ state: 'waiting', attempts: 1 }])
    const id = waiting?.id ?? ''
    expect(await run('hold', id)).toMatchObject({ code: 0, stdout: 'held 1 message\n', stderr: '' })
    expect((await listed())[0]?.deliveries[0]?.state).toBe('held')
    expect(await run('show', id, '--raw')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/Subject: waiting\r\n\r\nhello\r\n$/) as string,
    })

    const far = await serveMail({
      store: join(temporaryDirectory(), 'far'),
      listen: [`smtp://127.0.0.1:${port}`],
      flags: ['--domains', 'far.example'],
    })
    expect(await run('release', '--all')).toMatchObject({ code: 0, stdout: 'released 1 message\n' })
    expect(await run('retry', id)).toMatchObject({ code: 0, stdout: 'retried 1 message\n' })
    // Without the retry, the next attempt would come after minutes.
    await server.says(/"message":"message sent on".*"destination":"far\.example"/)
    await expect.poll(async () => (await run('list')).stderr).toBe(`No mail in the queue ${where[1]}.\n`)

    expect(await far.end('SIGTERM')).toBe(0)
    await submit(server.port, 'eve@far.example')
    await expect.poll(async () => (await listed())[0]?.deliveries[0]?.attempts).toBe(1)
    expect(await run('stats', '--json')).toMatchObject({ code: 0 })
    expect(await run('delete', '--all', '--yes')).toMatchObject({ code: 0, stdout: 'deleted 1 message\n' })
    const files = readdirSync(join(cwd, 'spool'), { recursive: true, withFileTypes: true })
    expect(files.filter((each) => each.isFile() && !each.name.startsWith('.'))).toEqual([])
    expect(await server.end('SIGTERM')).toBe(0)
    expect(server.output).not.toContain(LOGIN.NATS_PASSWORD)
  })
}

describe('a mistake is one line and exit code 2:', { timeout: 300_000 }, () => {
  const allowed = 'a directory, or a URL such as nats://host:4222?stream=postern&replicas=3'
  test.each([
    ['a host', 'nats://a b', `--queue: "nats://a b" is not ${allowed}`],
    ['a port', 'nats://a:99999', `--queue: "nats://a:99999" is not ${allowed}`],
    ['another scheme', 'redis://a', `--queue: "redis://a" is not ${allowed}`],
    ['replicas', 'nats://a?replicas=9', '--queue: replicas="9" in the URL is not a whole number from 1 to 5'],
    ['a stream', 'nats://a?stream=a.b', '--queue: stream="a.b" in the URL is not 1 to 64 of A-Z a-z 0-9 _ -'],
    ['a lease', 'nats://a?lease=1ms', '--queue: lease="1ms" in the URL is not a time from 1s to 1d, such as 15m'],
    ['an unknown term', 'nats://a?x=1', '--queue: "x" in the URL is not one of stream, replicas, lease'],
    [
      'a login',
      'nats://ann:s3cret@a',
      '--queue: a URL has no login here: set NATS_USER and NATS_PASSWORD, or NATS_TOKEN, or NATS_CREDS',
    ],
  ])('%s', async (_, url, line) => {
    expect(await postern(['queue', 'list', '--queue', url])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: `postern: ${line}\n`,
    })
  })

  test.each([
    ['no spool', [], '--queue nats://127.0.0.1:1: needs --spool, an s3: or fs: URL that all servers share'],
    [
      'a spool that is no place',
      ['--spool', 'memory:'],
      '--spool: "memory:" is not fs:DIRECTORY or s3://bucket/prefix',
    ],
  ])('%s', async (_, flags, line) => {
    const args = ['serve', ...RELAY, '--relay', 'smtp://127.0.0.1:1', '--queue', 'nats://127.0.0.1:1', ...flags]
    expect(await postern(args)).toMatchObject({ code: 2, stdout: '', stderr: `postern: ${line}\n` })
  })
})

testWith([NATS], 'a queue of a newer version, a missing one and a server that is away each get one line', async () => {
  await using nats = await NatsServer.start()
  const nc = await connect({ servers: `127.0.0.1:${nats.port}` })
  const manager = await jetstreamManager(nc)
  await manager.streams.add({ name: 'newer', subjects: ['newer.>'], description: 'Postern queue, version 3' })
  await nc.close()
  const list = (url: string): Promise<Result> => postern(['queue', 'list', '--queue', url, '--spool', 'fs:spool'])
  const newer = `the queue ${nats.url} newer is of version 3; this Postern knows versions up to 1`
  expect(await list(`${nats.url}?stream=newer`)).toMatchObject({ code: 2, stdout: '', stderr: `postern: ${newer}\n` })
  const where = ['--queue', `${nats.url}?stream=newer`, '--spool', 'fs:spool']
  expect(
    await postern(['serve', ...RELAY, '--relay', 'smtp://127.0.0.1:1', '--listen', 'smtp://127.0.0.1:0', ...where]),
  ).toMatchObject({
    code: 2,
    stderr: `postern: --queue ${nats.url}?stream=newer: ${newer}\n`,
  })
  expect(await list(`${nats.url}?stream=none`)).toMatchObject({
    code: 1,
    stderr: `postern: there is no queue ${nats.url} none: there is no such stream\n`,
  })
  const noCa = await postern(['queue', 'list', '--queue', nats.url], { env: { NATS_CA: '/nowhere/ca.pem' } })
  expect(noCa).toMatchObject({
    code: 2,
    stdout: '',
    stderr: 'postern: NATS_CA /nowhere/ca.pem: there is no such file\n',
  })
  await nats.end()
  expect(await list(nats.url)).toMatchObject({
    code: 1,
    stderr: `postern: the queue ${nats.url} postern: connection refused\n`,
  })
})
