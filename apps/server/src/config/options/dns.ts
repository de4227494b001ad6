/** Options for what the server asks DNS. */
import { LIMIT_RULES } from '@postern/engine'
import { Failure } from '../../host/failure.ts'
import { parseResolverUrl, RESOLVER_ALLOWED, type ResolverAddress } from '../urls/resolver-url.ts'
import { formatQuantity, type TimeQuantity } from '../values/quantity.ts'
import { commaList, nonEmpty, optional, parsedText } from '../values/schema.ts'
import type { LimitRows } from './limits.ts'
import { amount, type Choice, onOff, type Option } from './row.ts'

export interface DnsRows {
  /**
   * Look up the name of each client before the greeting: the name of its address, if that name has the address too. It is then in the trace
   * header, in the record, in the log and in `session.reverseDns`. No client is refused for it. Default false.
   */
  readonly reverseDns: Option<boolean, boolean>
  /** How long a client may wait for that. Then its name is `unknown`. Default `5s`. */
  readonly reverseDnsTimeoutMs: Option<TimeQuantity, number>
  /** The DNS servers to ask: `udp://192.0.2.1:53`, `https://dns.example/dns-query`. Default: those of /etc/resolv.conf. */
  readonly resolver: Option<string | readonly string[], readonly ResolverAddress[] | undefined>
}

const group = 'DNS:'

export const dnsRows: DnsRows = {
  reverseDns: onOff({
    group,
    help: 'look up the name of each client, for the trace header, records, the log and hooks',
  }),
  reverseDnsTimeoutMs: amount(
    'reverseDnsTimeoutMs',
    { min: 1, max: LIMIT_RULES.hookTimeoutMs.max, byDefault: '5s' },
    { group, help: 'time that a client waits for it; then the name is unknown' },
  ),
  resolver: {
    schema: optional(nonEmpty(commaList(parsedText(parseResolverUrl, RESOLVER_ALLOWED)))),
    byDefault: undefined,
    help: 'DNS server to ask: udp://192.0.2.1:53, or https://dns.example/dns-query',
    group,
    value: 'url',
    repeatable: true,
    commands: ['serve', 'dkim'],
    docs: { byDefault: 'those of /etc/resolv.conf' },
  },
}

/** Checks that the server gives up a lookup before the engine gives up the hook, which would refuse the client. @throws Failure */
export function checkReverseDns({ options, spelled }: Choice<DnsRows & LimitRows>): void {
  const { reverseDns, reverseDnsTimeoutMs, hookTimeoutMs } = options
  if (!reverseDns || reverseDnsTimeoutMs < hookTimeoutMs) return
  const [time, hookTime] = [reverseDnsTimeoutMs, hookTimeoutMs].map((ms) => formatQuantity(ms, 'time'))
  throw new Failure(
    `${spelled('reverseDnsTimeoutMs')}: ${time} is not less than ${spelled('hookTimeoutMs')}, which is ${hookTime}`,
  )
}
