/**
 * The envelope record: what is known about a stored message besides its bytes. It is stored as JSON. `schemaVersion`
 * counts changes that an older reader would misread. A new field does not change it, so a reader keeps fields that it
 * does not know.
 */
import type {
  AddressLiteral,
  BodyType,
  DsnNotify,
  Endpoint,
  ForwardedClient,
  Hello,
  OriginalRecipient,
  ReverseDns,
  TlsInfo,
  TransmissionType,
} from '@postern/engine'
import type { AttachmentHead, MailSummary } from '@postern/mail/summary'
import type { Verdicts } from '@postern/mail/trust'

/** What is known about one stored message. */
export interface MailRecord {
  readonly schemaVersion: 1
  /** A ULID. */
  readonly id: string
  /** ISO 8601, UTC, with milliseconds. */
  readonly receivedAt: string
  readonly session: SessionFacts
  readonly reversePath: PathRecord
  readonly forwardPaths: readonly ForwardPathRecord[]
  readonly body: BodyType
  readonly smtpUtf8: boolean
  /** RFC 3461 4.3. */
  readonly ret?: 'FULL' | 'HDRS'
  /** RFC 3461 4.4. */
  readonly envelopeId?: string
  /** RFC 8689: whoever sends the message on must use TLS, and so must each server after it. */
  readonly requireTls?: true
  /** RFC 6710: -9 to 9. Missing: 0. */
  readonly priority?: number
  /** RFC 2852. */
  readonly deliverBy?: DeliverByRecord
  /** RFC 4865: the message must not be sent on before this time. ISO 8601, UTC, with milliseconds. */
  readonly holdUntil?: string
  /** The number of stored bytes, including the header fields that were added in front. */
  readonly size: number
  /** SHA-256 of the stored bytes, lower-case hexadecimal. */
  readonly sha256: string
  /** Results of checks of the message. */
  readonly verdicts: RecordVerdicts
  /** What a list of messages shows. Missing if it was not asked for; see `KeepOptions`. */
  readonly summary?: MailSummary
  /** The attachments that are kept apart, in the order of the message. Missing if there are none; see `KeepOptions`. */
  readonly attachments?: readonly AttachmentRecord[]
  /** Where a store of Maildirs delivered the message. */
  readonly maildir?: MaildirPlaces
  /** Present once the message has bounced. */
  readonly bounce?: Bounce
}

/** Results of checks: those of a verification (docs/verdicts.md), and others that a program adds to `MailFacts`. */
export interface RecordVerdicts extends Verdicts {
  /** How many fields of Authentication-Results claimed to be ours. They were removed. */
  readonly removedClaims?: number
  /** The message is in quarantine. */
  readonly isQuarantined?: true
  readonly [name: string]: unknown
}

/** An attachment that is kept apart: decoded, in a blob of its own. The message has its bytes too, encoded. */
export interface AttachmentRecord extends AttachmentHead {
  /** The number of decoded bytes. */
  readonly size: number
  /** SHA-256 of the decoded bytes, lower-case hexadecimal. */
  readonly sha256: string
  /** The key of its blob in the store. */
  readonly key: string
}

/** The client that sent the message. */
export interface SessionFacts {
  readonly id: string
  readonly remote: Endpoint
  readonly local: Endpoint
  readonly tls?: TlsInfo
  readonly hello?: Hello
  /** Present if DNS was asked about the address. */
  readonly reverseDns?: ReverseDns
  readonly transmissionType: TransmissionType
  /** The user who logged in with AUTH. */
  readonly user?: string
  /** The client that sent the message first, if the sender of this message has named it (XFORWARD). */
  readonly forwarded?: ForwardedClient
}

/** The reverse-path; see `Path` of the engine. */
export interface PathRecord {
  readonly address: string
  readonly localPart: string
  readonly domain: string
  readonly literal?: AddressLiteral
  /** Upper-case keyword to value. */
  readonly parameters: Readonly<Record<string, string>>
  /** Keywords of malformed values. The values are kept unchanged; see `PathWithParameters` of the engine. */
  readonly malformedParameters?: readonly string[]
}

export interface ForwardPathRecord extends PathRecord {
  readonly notify?: readonly DsnNotify[]
  readonly originalRecipient?: OriginalRecipient
  /** The accounts that the mail is for. Missing if the server did not know accounts. */
  readonly accounts?: readonly string[]
}

/** A time limit of the sender; see `DeliverBy` of the engine. */
export interface DeliverByRecord {
  /** ISO 8601, UTC, with milliseconds. */
  readonly deadline: string
  readonly mode: 'return' | 'notify'
  readonly trace: boolean
}

export interface MaildirPlaces {
  /** The name of its file in `new`. In `cur`, flags follow the name. */
  readonly file: string
  /** `<domain>/<local part>` as the directories are named, each once. */
  readonly mailboxes: readonly string[]
  /** The line ends of the file. With LF, each CRLF of the message was written as LF. */
  readonly lineEnding: 'LF' | 'CRLF'
}

export interface Bounce {
  readonly reason: string
  /** ISO 8601, UTC, with milliseconds. */
  readonly at: string
}
