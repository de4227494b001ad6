/** On Node, the caller may pass its own listeners and sockets. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { expect, test } from 'vitest'
import { adopt, dial, serve } from '../src/node/index.ts'
import { ascii, certificate, echo, Hall, hears } from './harness.ts'

test('listen serves on a listener that the caller made', async () => {
  const own = createServer()
  const listener = serve(echo, own, { tls: certificate })
  own.listen(0, '127.0.0.1')
  await once(own, 'listening')
  const { port } = listener.address
  expect(port).toBe((own.address() as AddressInfo).port)
  const client = await dial({ host: '127.0.0.1', port })
  expect(await hears(client, 'hello')).toBe(true)
  await client.end()
  await listener.close()
  expect(own.listening).toBe(false)
})

test('listen serves on a TLS listener that the caller made', async () => {
  const own = createTlsServer(certificate).listen(0, '127.0.0.1')
  await once(own, 'listening')
  const hall = new Hall()
  // TLS has begun already, so it does not begin again.
  const listener = serve(hall, own, { tls: certificate, implicitTls: true })
  const { port } = listener.address
  const client = await dial({ host: '127.0.0.1', port, implicitTls: true, tls: { ca: certificate.cert } })
  const accepted = await hall.next()
  expect(accepted.tls?.protocol).toBe('TLSv1.3')
  expect(accepted.startTls).toBeUndefined()
  client.destroy()
  await listener.close()
})

test('adopt accepts a socket, also one that was paused and read from before', async () => {
  const own = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  await once(own, 'listening')
  const client = connect((own.address() as AddressInfo).port, '127.0.0.1')
  const [socket] = (await once(own, 'connection')) as [Socket]
  client.write('sniffed, and the rest')
  socket.once('readable', () => {
    const first = socket.read(7) as Buffer
    expect(String(first)).toBe('sniffed')
    socket.unshift(first)
    done = adopt(echo, socket)
  })
  let done: Promise<void> | undefined
  socket.resume().pause()
  const [heard] = (await once(client, 'data')) as [Buffer]
  expect(String(heard)).toBe('sniffed, and the rest')
  client.end()
  await done
  own.close()
})

test('adopt accepts a socket that has ended', async () => {
  const own = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
  await once(own, 'listening')
  const { port } = own.address() as AddressInfo
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).resume()
  await once(client, 'end')
  const hall = new Hall()
  await adopt(hall, client)
  const ended = await hall.next()
  expect(await ended.read()).toBeNull()
  ended.destroy()
  await once(client, 'close')
  await adopt(hall, client)
  await expect((await hall.next()).write(ascii('late'))).rejects.toThrow()
  own.close()
})
