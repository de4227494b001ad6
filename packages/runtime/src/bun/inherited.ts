/**
 * Finds the address of a listening socket that the process was started with. Bun does not tell it, so this module reads
 * it from Linux's /proc.
 */
import type { Endpoint } from '@postern/engine'
import { readFile, readlink } from 'node:fs/promises'
import { ipEndpoint, UNKNOWN_ENDPOINT, unixEndpoint } from '../common/endpoint.ts'

/** Returns the address of the socket. Its family is 'unknown' where there is no /proc. @throws an error with EINVAL if it is no socket */
export async function inheritedEndpoint(fd: number): Promise<Endpoint> {
  const link = await readlink(`/proc/self/fd/${fd}`).catch(ignored)
  if (link === undefined) return UNKNOWN_ENDPOINT
  const [, inode] = /^socket:\[(\d+)\]$/.exec(link) ?? []
  if (inode === undefined) throw Object.assign(new Error(`EINVAL: fd ${fd} is not a socket`), { code: 'EINVAL' })
  for (const table of ['tcp', 'tcp6']) {
    const row = (await rowsOf(table)).find((fields) => fields[9] === inode)
    const [address, port] = row?.[1]?.split(':') ?? []
    if (address !== undefined && port !== undefined) return ipEndpoint(addressText(address), Number.parseInt(port, 16))
  }
  const local = (await rowsOf('unix')).find((fields) => fields[6] === inode)
  return local === undefined ? UNKNOWN_ENDPOINT : unixEndpoint(local.slice(7).join(' '))
}

/** Returns the fields of each row of a table of sockets. */
async function rowsOf(table: string): Promise<string[][]> {
  const text = (await readFile(`/proc/self/net/${table}`, 'utf8').catch(ignored)) ?? ''
  return text.split('\n').map((line) => line.split(' ').filter((word) => word !== ''))
}

/** Reads an address as the kernel prints it: words of four octets, each in the byte order of the machine. */
function addressText(hex: string): string {
  const bytes = Buffer.from(hex, 'hex')
  if (IS_LITTLE_ENDIAN) bytes.swap32()
  if (bytes.byteLength === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16))
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}

const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

function ignored(): undefined {}
