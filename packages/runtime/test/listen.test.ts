import type { Endpoint } from '@postern/engine'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { stat, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { dial, type ListenOptions } from '../src/node/index.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { PLACES } from './places.ts'
import { ascii, echo, Hall, hears, openHandles, readText } from './harness.ts'
import { eventually } from '../../../test/kit/waiting.ts'
import { sleep } from '../../../test/kit/waiting.ts'

const directory = temporaryDirectory()

describe.each(PLACES)('%s', (runtime, place) => {
  const { listen } = place
  /** Counts the open handles on both sides. */
  const handles = (): number => (runtime === 'node' ? openHandles() : openHandles() + place.openHandles())
  /** Of a Unix socket. */
  const pathOf = (name: string): string => join(directory, `${runtime} ${name}`)

  async function open(options: ListenOptions): Promise<{ hall: Hall; address: Endpoint; close(): Promise<void> }> {
    const hall = new Hall()
    const listener = await listen(hall, options)
    onTestFinished(() => listener.close())
    return { hall, address: listener.address, close: () => listener.close() }
  }

  test('the listener has the real port', async () => {
    const { address } = await open({ port: 0, host: '127.0.0.1' })
    expect(address).toEqual({ family: 'ipv4', address: '127.0.0.1', port: expect.any(Number) })
    expect(address.port).toBeGreaterThan(0)
  })

  test('a listener without a host accepts IPv4 and IPv6, and distinguishes them', async () => {
    const { hall, address } = await open({ port: 0 })
    const { port } = address
    const four = await dial({ host: '127.0.0.1', port })
    expect((await hall.next()).remote).toEqual({ ...four.local, family: 'ipv4', address: '127.0.0.1' })
    const six = await dial({ host: '::1', port })
    const accepted = await hall.next()
    expect(accepted.remote).toEqual({ ...six.local, family: 'ipv6', address: '::1' })
    expect(accepted.local).toEqual({ family: 'ipv6', address: '::1', port })
    four.destroy()
    six.destroy()
  })

  test('listening on a used port rejects with the code of the system', async () => {
    const { address } = await open({ port: 0, host: '127.0.0.1' })
    await expect(listen(new Hall(), { port: address.port, host: '127.0.0.1' })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    })
  })

  // Deno needs --unstable-net, which places.ts passes. deno.test.ts tests Deno without it.
  test('listeners share a port if all of them set reusePort', async () => {
    const { address } = await open({ port: 0, host: '127.0.0.1', reusePort: true })
    const where = { port: address.port, host: '127.0.0.1' }
    await expect(listen(new Hall(), where)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    const other = await open({ ...where, reusePort: true })
    expect(other.address).toEqual(address)
    await expect(listen(new Hall(), { path: pathOf('shared'), reusePort: true })).rejects.toThrow(/not for a path/)
  })

  test.runIf(runtime === 'bun')('Bun rejects the option backlog, which it does not support', async () => {
    await expect(listen(new Hall(), { port: 0, backlog: 16 })).rejects.toThrow(/^backlog: /)
  })

  test('two hundred concurrent connections each get their own bytes', async () => {
    const listener = await listen(echo, { port: 0, host: '127.0.0.1' })
    onTestFinished(() => listener.close())
    const { port } = listener.address
    const clients = await Promise.all(Array.from({ length: 200 }, () => dial({ host: '127.0.0.1', port })))
    const heard = await Promise.all(clients.map((client, index) => hears(client, `client ${index}`)))
    expect(heard.filter(Boolean)).toHaveLength(200)
    await Promise.all(clients.map((client) => client.end()))
  })

  test('listening on a foreign address rejects with the code of the system', async () => {
    await expect(listen(new Hall(), { port: 0, host: '192.0.2.254' })).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' })
  })

  test.each([
    [{}, /port or path/],
    [{ port: 0, path: 'x' }, /port or path/],
    [{ port: 0, implicitTls: true }, /needs tls/],
    [{ port: 0, lingerMs: 0 }, /lingerMs/],
    [{ port: 0, handshakeTimeoutMs: NaN }, /handshakeTimeoutMs/],
    [{ port: 0, tls: { key: 'x', cert: 'y' } }, /certificate for the listener cannot be read/],
  ])('refuses options %j', async (options, message) => {
    await expect(listen(new Hall(), options)).rejects.toThrow(message)
  })

  test('after close the port is free, new connections are refused, and open ones stay', async () => {
    const listener = await listen(echo, { port: 0, host: '127.0.0.1' })
    const { port } = listener.address
    const client = await dial({ host: '127.0.0.1', port })
    expect(await hears(client, 'before')).toBe(true)
    await listener.close()
    await listener.close()
    expect(listener.address.port).toBe(port)
    await expect(dial({ host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    const next = await listen(echo, { host: '127.0.0.1', port })
    expect(await hears(client, 'after')).toBe(true)
    await client.end()
    await next.close()
  })

  test('a Unix socket is served, and its file is removed after close', async () => {
    const path = pathOf('plain')
    const { hall, address, close } = await open({ path })
    expect(address).toEqual({ family: 'unix', address: path, port: 0 })
    const client = await dial({ path })
    const accepted = await hall.next()
    expect(accepted.local).toEqual(address)
    expect(accepted.remote).toEqual({ family: 'unix', address: '', port: 0 })
    expect(client.remote).toEqual(address)
    client.destroy()
    await close()
    expect(existsSync(path)).toBe(false)
  })

  test('a Unix socket has the permissions of the options, whatever the umask', async () => {
    for (const mode of [0o666, 0o600]) {
      const path = pathOf(`mode ${mode}`)
      await open({ path, mode })
      expect((await stat(path)).mode & 0o777).toBe(mode)
    }
  })

  test('permissions that no Unix socket can have reject', async () => {
    const path = pathOf('no mode')
    const wrong = [
      { port: 0, mode: 0o666 },
      { path, mode: 0o1000 },
      { path, mode: -1 },
      { path, mode: 1.5 },
    ]
    for (const options of wrong) await expect(listen(new Hall(), options)).rejects.toThrow(/^mode: /)
    expect(existsSync(path)).toBe(false)
  })

  test('a Unix socket of a dead process is replaced', async () => {
    const path = pathOf('stale')
    const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`
    const child = spawn(process.execPath, ['-e', script])
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(existsSync(path)).toBe(true)
    const { hall } = await open({ path })
    const client = await dial({ path })
    await hall.next()
    client.destroy()
  })

  test('a Unix socket of a live process is not replaced', async () => {
    const path = pathOf('living')
    await open({ path })
    await expect(listen(new Hall(), { path })).rejects.toMatchObject({ code: 'EADDRINUSE' })
    ;(await dial({ path })).destroy()
  })

  test('a plain file is never replaced', async () => {
    const path = pathOf('file')
    await writeFile(path, 'precious')
    await expect(listen(new Hall(), { path })).rejects.toMatchObject({ code: 'EADDRINUSE' })
    expect(existsSync(path)).toBe(true)
  })

  test('a peer that ends first still gets the bytes written later', async () => {
    const { hall, address } = await open({ port: 0, host: '127.0.0.1' })
    const client = connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true })
    client.end('QUIT')
    const accepted = await hall.next()
    expect(await readText(accepted)).toBe('QUIT')
    expect(await readText(accepted)).toBeNull()
    await sleep(50)
    await accepted.write(ascii('221 bye'))
    const [heard] = (await once(client, 'data')) as [Buffer]
    expect(String(heard)).toBe('221 bye')
    await accepted.end()
  })

  // Closing with bytes unread makes the kernel reset the connection, and the peer then loses a reply that it had not read.
  test('the last reply reaches a client that goes on sending', async () => {
    const { hall, address } = await open({ port: 0, host: '127.0.0.1', lingerMs: 1_000 })
    const client = connect({ port: address.port, host: '127.0.0.1' })
    const failed: Error[] = []
    client.on('error', (error) => failed.push(error)).pause()
    client.write(Buffer.alloc(16 * 1_048_576), () => client.end())
    const accepted = await hall.next()
    await accepted.read()
    await accepted.write(ascii('421 enough'))
    await accepted.end()
    client.resume()
    const [heard] = (await once(client, 'data')) as [Buffer]
    expect(String(heard)).toBe('421 enough')
    await once(client, 'close')
    expect(failed).toEqual([])
  })

  test('a connection that has ended closes even if the peer never reads', async () => {
    const { hall, address } = await open({ port: 0, host: '127.0.0.1', lingerMs: 300 })
    const client = connect({ port: address.port, host: '127.0.0.1' }).pause()
    const accepted = await hall.next()
    let waiting: void | Promise<void> = undefined
    // Bytes that the kernel does not accept stay in the process.
    for (let chunks = 0; chunks < 512; chunks++) {
      waiting = accepted.write(new Uint8Array(65_536))
      if (waiting === undefined) continue
      if (!(await Promise.race([waiting.then(() => true), sleep(200).then(() => false)]))) break
    }
    const ended = accepted.end()
    await expect(waiting).rejects.toThrow()
    await expect(ended).rejects.toThrow()
    client.destroy()
  })

  test('a thousand connections that are reset leave no open handle', async () => {
    const seen = { accepted: 0, over: 0 }
    const listener = await listen(
      {
        async accept(duplex) {
          seen.accepted++
          try {
            await duplex.write(ascii('220 hello\r\n'))
            while ((await duplex.read()) !== null);
            await duplex.end()
          } catch {
            duplex.destroy()
          }
          seen.over++
        },
      },
      { port: 0, host: '127.0.0.1' },
    )
    const { port } = listener.address
    const before = handles()
    async function reset(round: number): Promise<void> {
      const client = connect(port, '127.0.0.1').on('error', () => {})
      await once(client, 'connect')
      // The resets come in the backlog, in the greeting, and in the middle of a command.
      if (round % 3 === 1) await Promise.race([once(client, 'data'), once(client, 'close')])
      if (round % 3 === 2) client.write('EHLO')
      client.resetAndDestroy()
    }
    for (let round = 0; round < 1_000; round += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, index) => reset(round + index)))
    }
    await eventually(
      () => seen.over === seen.accepted && handles() <= before,
      'seen.over === seen.accepted && handles() <= before',
    )
    expect(seen.accepted).toBeGreaterThan(300)
    await listener.close()
  })
})

test.each(['bun', 'deno'])('listen and dial of %s say on another runtime what is wrong', async (name) => {
  const { listen, dial: dialOf } = (await import(`../src/${name}/index.ts`)) as typeof import('../src/node/index.ts')
  const wrong = expect.objectContaining({
    name: 'TypeError',
    message: expect.stringMatching(new RegExp(`^@postern/runtime/${name}: this is not ${name}$`, 'i')),
  })
  await expect(listen(new Hall(), { port: 0 })).rejects.toEqual(wrong)
  await expect(dialOf({ host: '127.0.0.1', port: 25 })).rejects.toEqual(wrong)
})
