/**
 * The envelope, which MAIL and RCPT give: RFC 5321 2.3.1, with the parameters of RFC 1870, 2852, 3030, 3461, 4865, 6152, 6531,
 * 6710 and 8689.
 */

/** A mailbox as the client wrote it between angle brackets (RFC 5321 4.1.2). */
export interface Path {
  /**
   * Local part and domain as the client wrote them. Quotes are kept, a source route is dropped. '' is the null reverse-path.
   * 'postmaster' may have no domain.
   */
  readonly address: string
  /** The local part without its quoting: `"a b"` is `a b`. Two spellings of one local part are equal here. */
  readonly localPart: string
  /** As written, but without a dot at its end; '' if there is none. An address literal keeps its brackets. */
  readonly domain: string
  /** Present if `domain` is an address literal (RFC 5321 4.1.3). */
  readonly literal?: AddressLiteral
}

/** `[192.0.2.1]`, `[IPv6:2001:db8::1]` or `[tag:content]`. */
export interface AddressLiteral {
  readonly family: 'ipv4' | 'ipv6' | 'general'
  /** Without brackets and tag. */
  readonly address: string
  /** The tag of a general literal. */
  readonly tag?: string
}

/** Parameters of MAIL or RCPT, value by upper-case keyword, with xtext decoded. '' if the keyword has no value. */
export type Parameters = ReadonlyMap<string, string>

/** A path and the parameters behind it. */
export interface PathWithParameters extends Path {
  readonly parameters: Parameters
  /**
   * Upper-case keywords of parameters that only advise (AUTH, ENVID, ORCPT) and are malformed. Their values are as the client
   * wrote them, not decoded. Absent if there are none.
   */
  readonly malformedParameters?: readonly string[]
}

/** The argument of MAIL (RFC 5321 4.1.1.2). */
export interface ReversePath extends PathWithParameters {}

/** The argument of RCPT (RFC 5321 4.1.1.3). */
export interface ForwardPath extends PathWithParameters {
  /** The events for which the sender wants a report (RFC 3461 4.1). */
  notify?: readonly DsnNotify[]
  /** The address that the sender originally wrote (RFC 3461 4.2). */
  originalRecipient?: OriginalRecipient
  /** The accounts that the mail is for, as addresses. The `rcpt` hook sets it if it knows them, and a store may use it. */
  accounts?: readonly string[]
  /** The mail is for another server. The `rcpt` hook sets it if somebody sends such mail on. */
  isElsewhere?: true
  /** What becomes of the mail. The `rcpt` hook sets it. Missing: the store keeps the mail. */
  handling?: RecipientHandling
}

/** What becomes of the mail of one recipient. */
export interface RecipientHandling {
  /** The store keeps it. */
  readonly keeps: boolean
  /** The addresses that it is forwarded to, by whoever sends mail on. */
  readonly forwardsTo: readonly string[]
  /** Servers that it is delivered to, by whoever sends mail on. */
  readonly deliversTo?: readonly RecipientDelivery[]
}

/** A server that gets the mail of one recipient. */
export interface RecipientDelivery {
  /** The URL of the server: `lmtp://…`, `lmtp+unix:…`, or that of a webhook. */
  readonly url: string
  /** The recipient as the server is told. Default: the address of RCPT. */
  readonly address?: string
}

export type DsnNotify = 'NEVER' | 'SUCCESS' | 'FAILURE' | 'DELAY'

export interface OriginalRecipient {
  /** 'rfc822', 'utf-8', … in lower case. */
  readonly addressType: string
  readonly address: string
}

/** RFC 6152, RFC 3030 3. */
export type BodyType = '7BIT' | '8BITMIME' | 'BINARYMIME'

/** The client that first sent a message, as a trusted client of this server tells it (XFORWARD). A field is missing if it is not known. */
export interface ForwardedClient {
  readonly name?: string
  /** An IP address, or an address of another kind. */
  readonly address?: string
  readonly port?: number
  /** The protocol that it spoke, such as ESMTP. */
  readonly protocol?: string
  /** The name that it gave itself. */
  readonly hello?: string
  /** The message's id on the client of this server. */
  readonly ident?: string
  readonly source?: 'LOCAL' | 'REMOTE'
}

/** The envelope of one transaction. Extensions fill in the fields of their parameters. */
export interface Envelope {
  readonly reversePath: ReversePath
  /** The accepted recipients, in order. */
  readonly forwardPaths: readonly ForwardPath[]
  body: BodyType
  /** RFC 6531. */
  smtpUtf8: boolean
  /** The size that the client declared, in bytes (RFC 1870). */
  declaredBytes?: number
  /** How much of the message a report should contain (RFC 3461 4.3). */
  ret?: 'FULL' | 'HDRS'
  /** RFC 3461 4.4. */
  envelopeId?: string
  /** Every server on the way must use TLS and check the certificate of the next one (RFC 8689). Absent if it was not asked for. */
  requireTls?: true
  /** From -9, the lowest, to 9 (RFC 6710). 0 is ordinary mail. */
  priority?: number
  /** RFC 2852. */
  deliverBy?: DeliverBy
  /** The message must not be sent on before this time (RFC 4865). HOLDFOR counts from the MAIL command. */
  holdUntil?: Date
}

/** A time limit of the sender (RFC 2852). */
export interface DeliverBy {
  /** Counted from the MAIL command. With 'notify' it may be in the past. */
  readonly deadline: Date
  /** After the deadline: 'return' gives the message up and reports that it failed, 'notify' reports a delay and goes on. */
  readonly mode: 'return' | 'notify'
  /** Each server that relays the message should report that. */
  readonly trace: boolean
}
