/**
 * What a resolver answers. An answer is a value, also if no server answered: a caller has to tell "there is none" from "nobody knows
 * now". A promise of a resolver rejects only for a bug.
 */
import type { Endpoint } from '@postern/engine'

/** The value of a record, by its type. Names are in lower case and have no dot at the end; '' is the root. */
export interface Records {
  /** An IPv4 address. */
  readonly A: string
  /** An IPv6 address, as RFC 5952 writes it. */
  readonly AAAA: string
  readonly CNAME: string
  /** The lowest preference comes first. An exchange '' says that the domain takes no mail (RFC 7505). */
  readonly MX: MxRecord
  readonly NS: string
  readonly PTR: string
  readonly SOA: SoaRecord
  readonly TLSA: TlsaRecord
  readonly TXT: TxtRecord
}

export type RecordType = keyof Records

export interface MxRecord {
  readonly preference: number
  readonly exchange: string
}

export interface SoaRecord {
  readonly primary: string
  readonly mailbox: string
  readonly serial: number
  readonly refreshSeconds: number
  readonly retrySeconds: number
  readonly expireSeconds: number
  /** How long an answer may be kept that says that there is no such record (RFC 2308 4). */
  readonly minimumSeconds: number
}

/** RFC 6698 2.1. */
export interface TlsaRecord {
  readonly usage: number
  readonly selector: number
  readonly matchingType: number
  readonly data: Uint8Array
}

export interface TxtRecord {
  /** As they are in the record. Each has at most 255 octets. */
  readonly strings: readonly string[]
  /** The strings as one text, without anything between them. */
  readonly text: string
}

export type Answer<Type extends RecordType = RecordType> = Found<Type> | Absent | Failed

export interface Found<Type extends RecordType = RecordType> {
  readonly status: 'found'
  /** At least one. */
  readonly records: readonly Records[Type][]
  /** The name that has the records: the one that was asked for, or the end of its CNAMEs. */
  readonly name: string
  /** The least of all records that led to the answer. */
  readonly ttlSeconds: number
  /** The resolver's server says that it has verified the answer by DNSSEC (RFC 4035 3.2.3). */
  readonly isAuthentic: boolean
}

/** There is no such record: the name has others (`nodata`), or none at all and nothing below it (`nxdomain`). */
export interface Absent {
  readonly status: 'nodata' | 'nxdomain'
  readonly ttlSeconds: number
  readonly isAuthentic: boolean
}

/** Nobody knows. Another time there may be an answer. */
export interface Failed {
  readonly status: 'failed'
  readonly reason: FailureReason
  /** One line for a log. It shows no text of a server. */
  readonly detail: string
}

/**
 * - `servfail`, `refused`: a server says so. `lame`: it only refers to other servers. `malformed`: its answer makes no sense.
 * - `timeout`, `unreachable`: no server answers, or none can be reached.
 * - `loop`: the CNAMEs lead to each other, or there are too many.
 * - `busy`: too many queries are waiting, most of them for this client. `aborted`: the caller's signal was aborted.
 */
export type FailureReason =
  | 'servfail'
  | 'refused'
  | 'lame'
  | 'malformed'
  | 'timeout'
  | 'unreachable'
  | 'loop'
  | 'busy'
  | 'aborted'

export interface ResolveOptions {
  /** If it is aborted, the answer is a failure with the reason `aborted`. */
  readonly signal?: AbortSignal | undefined
  /** The client that makes us ask. If too many queries wait, the client with the most of them loses its oldest. */
  readonly client?: Endpoint | undefined
}

export interface Resolver {
  /**
   * Looks up the records of this type. Follows CNAMEs, except for the type CNAME.
   *
   * @param name A whole domain name. Labels may be U-labels. A text that cannot be a name has the answer `nxdomain`
   */
  resolve<Type extends RecordType>(name: string, type: Type, options?: ResolveOptions): Promise<Answer<Type>>
}

/** Makes a failure. */
export function failed(reason: FailureReason, detail: string): Failed {
  return { status: 'failed', reason, detail }
}
