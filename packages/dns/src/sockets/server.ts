/** A server that is asked over UDP, and over TCP if its answer does not fit into a datagram. */
import { isIP } from 'node:net'
import type { Upstream } from '../upstream.ts'
import { askOverUdp, type ServerAddress } from './datagram.ts'
import { askOverTcp } from './stream.ts'

/** Makes a server. @throws RangeError if it is not an IP address and a port */
export function udpUpstream({ address, port }: ServerAddress): Upstream {
  const family = isIP(address)
  if (family === 0) throw new RangeError(`${address} is not an IP address`)
  if (!(Number.isInteger(port) && port > 0 && port < 65_536)) throw new RangeError(`${port} is not a port`)
  return {
    url: `udp://${family === 6 ? `[${address}]` : address}:${port}`,
    async ask(question, options) {
      const answer = await askOverUdp({ address, port }, question, options)
      if (answer === 'use-tcp') return askOverTcp({ address, port }, question, options)
      return 'id' in answer ? { status: 'answered', message: answer, ageSeconds: 0 } : answer
    },
  }
}
