/** The envelope: what MAIL and RCPT said. RFC 5321 2.3.1, with the parameters of RFC 1870, 3030, 3461, 6152 and 6531. */

/** A mailbox as it stood between angle brackets (RFC 5321 4.1.2). */
export interface Path {
  /**
   * Local part and domain as the client wrote them: quotes kept, a source route dropped. '' is the null reverse-path,
   * 'postmaster' may stand without a domain.
   */
  readonly address: string
  /** The local part with its quoting undone: `"a b"` is `a b`. Two spellings of one local part are equal here. */
  readonly localPart: string
  /** As written, but without a dot at its end; '' where there is none. An address literal keeps its brackets. */
  readonly domain: string
  /** Present where `domain` is an address literal (RFC 5321 4.1.3). */
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

/** Parameters of MAIL or RCPT: upper-case keyword to its value, xtext undone; '' where the keyword has no value. */
export type Parameters = ReadonlyMap<string, string>

/** A path and the parameters behind it. */
export interface PathWithParameters extends Path {
  readonly parameters: Parameters
  /**
   * Upper-case keywords of parameters that only advise (AUTH, ENVID, ORCPT) and are malformed. Their values are what the client
   * wrote, not decoded. Absent if there are none.
   */
  readonly malformedParameters?: readonly string[]
}

/** What MAIL said (RFC 5321 4.1.1.2). */
export interface ReversePath extends PathWithParameters {}

/** What RCPT said (RFC 5321 4.1.1.3). */
export interface ForwardPath extends PathWithParameters {
  /** When to report back (RFC 3461 4.1). */
  notify?: readonly DsnNotify[]
  /** The address that the sender first wrote (RFC 3461 4.2). */
  originalRecipient?: OriginalRecipient
}

export type DsnNotify = 'NEVER' | 'SUCCESS' | 'FAILURE' | 'DELAY'

export interface OriginalRecipient {
  /** 'rfc822', 'utf-8', … in lower case. */
  readonly addressType: string
  readonly address: string
}

/** RFC 6152, RFC 3030 3. */
export type BodyType = '7BIT' | '8BITMIME' | 'BINARYMIME'

/** One transaction's envelope. Extensions fill in what their parameters mean. */
export interface Envelope {
  readonly reversePath: ReversePath
  /** The recipients that were accepted, in order. */
  readonly forwardPaths: readonly ForwardPath[]
  body: BodyType
  /** RFC 6531. */
  smtpUtf8: boolean
  /** What the client said the size would be, in bytes (RFC 1870). */
  declaredBytes?: number
  /** How much of the message a report should carry (RFC 3461 4.3). */
  ret?: 'FULL' | 'HDRS'
  /** RFC 3461 4.4. */
  envelopeId?: string
}
