/** Counts what became of TLS on the connections of a relay. */
import { type Client, ClientError } from '@postern/engine/client'
import type { Hop } from './delivery/hop.ts'
import { problemOfConnection, problemOfError, type TlsCounts, type TlsProblem } from './tls-report/index.ts'

type Connect = (hop: Hop, isInClear: boolean, signal: AbortSignal) => Promise<Client>

/** Counts each connection that `connect` makes to a hop of `mxRouter`, and each that fails because of TLS. */
export function countTls(connect: Connect, counts: TlsCounts): Connect {
  return async (hop, isInClear, signal) => {
    const { counted } = hop
    // In clear, the handshake that failed was counted before.
    if (counted === undefined || isInClear) return connect(hop, isInClear, signal)
    const { domain, requirement } = counted
    const count = (problem: TlsProblem | undefined): void => {
      const { host, address = '' } = hop
      const failure = problem && { ...problem, host, sendingAddress: '', receivingAddress: address }
      counts.count(domain, requirement.policy, failure)
    }
    try {
      const client = await connect(hop, isInClear, signal)
      count(problemOfConnection(client, requirement))
      return client
    } catch (error) {
      const problem = error instanceof ClientError ? problemOfError(error) : undefined
      if (problem !== undefined) count(problem)
      throw error
    }
  }
}
