/** TLS from the first byte behind a PROXY protocol header: part of the handshake has been read before it begins. */
import { addressRanges, type Duplex, type SessionOverrides } from '@postern/engine'
import { once } from 'node:events'
import { describe, expect, onTestFinished, test } from 'vitest'
import { dial } from '../src/node/index.ts'
import { PLACES } from './places.ts'
import { certificate, readText } from './harness.ts'
import { sleep } from '../../../test/kit/waiting.ts'
import { connectBehindProxy, HEADER, type Sending } from './proxied.ts'
import { host, open } from './tls-harness.ts'

/** Reads the header, and returns the bytes behind it. */
async function readHeader(duplex: Duplex): Promise<Uint8Array> {
  let bytes = Buffer.alloc(0)
  while (bytes.byteLength < HEADER.length) {
    const chunk = await duplex.read()
    if (chunk === null) throw new Error('no header')
    bytes = Buffer.concat([bytes, chunk])
  }
  expect(bytes.subarray(0, HEADER.length).toString()).toBe(HEADER)
  return bytes.subarray(HEADER.length)
}

const sendings: Record<string, Sending> = {
  'in one packet': (header, hello, write) => write(Buffer.concat([header, hello])),
  async separately(header, hello, write) {
    write(header)
    await sleep(50)
    write(hello)
  },
  'before the server looks': (header, hello, write) => {
    write(header)
    write(hello)
  },
  async 'in pieces'(header, hello, write) {
    const all = Buffer.concat([header, hello])
    for (let at = 0; at < all.byteLength; at += 23) {
      write(all.subarray(at, at + 23))
      await sleep(1)
    }
  },
}

describe.each(PLACES)('%s', (_, place) => {
  test.each(Object.entries(sendings))('the handshake works with header and ClientHello %s', async (how, send) => {
    const { port, hall } = await open(place, { tls: certificate, implicitTls: false })
    const client = connectBehindProxy(port, host, certificate.cert, send)
    onTestFinished(() => void client.destroy())
    const accepted = await hall.next()
    if (how === 'before the server looks') await sleep(100)
    const rest = await readHeader(accepted)
    const [info] = await Promise.all([accepted.startTls?.(rest), once(client, 'secureConnect')])
    expect(info).toMatchObject({ protocol: 'TLSv1.3', serverName: 'localhost' })
    expect(accepted.tls).toBe(info)
    expect(accepted.startTls).toBeUndefined()
    client.write('hello')
    expect(await readText(accepted)).toBe('hello')
    await accepted.write(Buffer.from('hello yourself'))
    expect(String(await once(client, 'data'))).toBe('hello yourself')
  })

  test('bytes that are not TLS fail the handshake, and are never read as SMTP', async () => {
    const { port, hall } = await open(place, { tls: certificate, implicitTls: false })
    const client = await dial({ host, port })
    onTestFinished(() => client.destroy())
    await client.write(Buffer.from(`${HEADER}EHLO plain.example\r\n`))
    const accepted = await hall.next()
    const rest = await readHeader(accepted)
    await expect(accepted.startTls?.(rest)).rejects.toThrow(/wrong.version.number|http.request/i)
    await expect(accepted.read()).rejects.toThrow()
  })

  test('listen leaves implicit TLS behind a proxy to the server, and tells it', async () => {
    const seen = Promise.withResolvers<[Duplex, SessionOverrides | undefined]>()
    const overrides = { authRequired: true, proxyProtocol: { trusted: addressRanges(['127.0.0.1']) } }
    const listener = await place.listen(
      { accept: (duplex, overrides) => seen.resolve([duplex, overrides]) },
      { port: 0, host, tls: certificate, implicitTls: true, overrides },
    )
    onTestFinished(() => listener.close())
    const client = connectBehindProxy(listener.address.port, host, certificate.cert, (header, hello, write) =>
      write(Buffer.concat([header, hello])),
    )
    onTestFinished(() => void client.destroy())
    const [accepted, told] = await seen.promise
    expect(told).toMatchObject({ authRequired: true, proxyProtocol: {}, implicitTls: true })
    expect(accepted.tls).toBeUndefined()
    const rest = await readHeader(accepted)
    await Promise.all([accepted.startTls?.(rest), once(client, 'secureConnect')])
  })
})
