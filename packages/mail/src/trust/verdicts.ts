/** What is known about who sent a message. All of it is data, and goes into the record of the message as it is. */

/** Every result that a check may have (RFC 8601 2.7). */
export type IprevResult = 'pass' | 'fail' | 'temperror' | 'permerror'
export type SpfResult = 'none' | 'neutral' | 'pass' | 'fail' | 'softfail' | 'temperror' | 'permerror'
export type DkimResult = 'pass' | 'fail' | 'policy' | 'neutral' | 'temperror' | 'permerror'
export type ArcResult = 'none' | 'pass' | 'fail' | 'temperror'
export type DmarcResult = 'none' | 'pass' | 'fail' | 'temperror' | 'permerror'
export type DmarcPolicy = 'none' | 'quarantine' | 'reject'

/** Whether the client's address and its name confirm each other. */
export interface IprevVerdict {
  readonly result: IprevResult
  readonly address: string
  /** Present if it is confirmed. */
  readonly name?: string
}

export interface SpfVerdict {
  readonly result: SpfResult
  /** `mailfrom`: the reverse-path. `helo`: the name of the greeting, because the reverse-path is null (RFC 7208 2.4). */
  readonly identity: 'mailfrom' | 'helo'
  /** In ASCII. Missing if the identity has no domain. */
  readonly domain?: string
}

/**
 * Why a signature is not valid:
 * - `syntax`: the field is no signature. `version`, `algorithm`, `query`: it needs something that nobody may use now.
 * - `no-from`: From is not signed. `many-fields`: it lists more than 200 fields. `identity`: `i=` is not in the domain.
 * - `expired`: it says so. `partial-body`: `l=` leaves octets of the body unsigned. `short-body`: `l=` is more than the body has.
 * - `no-key`, `revoked`, `key-syntax`, `key-type`, `key-hash`, `key-service`, `short-key`, `long-key`: there is no such key, or it must not be used.
 * - `dns`: nobody knows the key now. `body`: the body has changed. `header`: the header has changed, or the key is another one.
 * - `many-signatures`: only the first ones are checked.
 */
export type SignatureFault =
  | 'syntax'
  | 'version'
  | 'algorithm'
  | 'query'
  | 'no-from'
  | 'many-fields'
  | 'identity'
  | 'expired'
  | 'partial-body'
  | 'short-body'
  | 'no-key'
  | 'revoked'
  | 'key-syntax'
  | 'key-type'
  | 'key-hash'
  | 'key-service'
  | 'short-key'
  | 'long-key'
  | 'dns'
  | 'body'
  | 'header'
  | 'many-signatures'

export interface DkimVerdict {
  readonly result: DkimResult
  readonly reason?: SignatureFault
  /** `d=`, in ASCII. Missing if the field has none. */
  readonly domain?: string
  readonly selector?: string
  /** `rsa-sha256` or `ed25519-sha256`. */
  readonly algorithm?: string
  /** The owner says that the domain only tests DKIM (`t=y`). Such a signature counts like another. */
  readonly isTest?: true
}

export interface ArcVerdict {
  readonly result: ArcResult
  /** How many sets there are. */
  readonly sets: number
  /** `structure`: a set lacks a field or has one twice, or the seals do not say that the chain was valid. Otherwise why a signature is not valid. */
  readonly reason?: 'structure' | SignatureFault
  /** The domain of the newest seal. */
  readonly sealer?: string
}

export interface DmarcVerdict {
  readonly result: DmarcResult
  /** The domain of From, in ASCII. */
  readonly domain?: string
  /** What the owner of the domain asks for, if the result is `fail`. With `t=y` it is one step less (RFC 9989 4.7). */
  readonly policy?: DmarcPolicy
  /** The domain that has the record: this one, or one above it. */
  readonly recordDomain?: string
  /** What From shares a domain with. */
  readonly aligned?: readonly ('spf' | 'dkim')[]
  /** `no-from`: the result is `none`. With the others it is `permerror`: nobody can say which domain a reader sees. */
  readonly reason?: 'no-from' | 'several-from' | 'several-domains' | 'bad-from' | 'long-header'
}

/**
 * The domain that is proved to have sent the message, and how:
 * - `auth`: one of our users has logged in.
 * - `dmarc`: it is the domain of From, and DMARC passes.
 * - `arc`: it is the domain of From, and a sealer whom we trust says that DMARC passed there.
 * - `dkim`: it has signed the message. `spf`: the client may send for it, and it is the domain of the reverse-path.
 *
 * With `dkim` and `spf` it may be another domain than the one in From.
 */
export interface ProvedSender {
  readonly domain: string
  readonly by: 'auth' | 'dmarc' | 'arc' | 'dkim' | 'spf'
}

export interface Verdicts {
  /** Missing if the client has no IP address, or has logged in. So are the others. */
  readonly iprev?: IprevVerdict
  readonly spf?: SpfVerdict
  /** One for each signature, from top to bottom. */
  readonly dkim?: readonly DkimVerdict[]
  readonly arc?: ArcVerdict
  readonly dmarc?: DmarcVerdict
  /** Missing if nothing is proved. */
  readonly sender?: ProvedSender
}
