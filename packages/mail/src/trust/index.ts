/** `@postern/mail/trust`: who sent a message. SPF and DMARC are those of `mailauth`, which a program installs beside this package. */
export { resultsField, resultsText, withoutClaims, type Cleaned } from './results-field.ts'
export {
  createVerifier,
  type MessageOrigin,
  type Verification,
  type Verifier,
  type VerifierOptions,
} from './verifier.ts'
export type {
  ArcResult,
  ArcVerdict,
  DkimResult,
  DkimVerdict,
  DmarcPolicy,
  DmarcResult,
  DmarcVerdict,
  IprevResult,
  IprevVerdict,
  ProvedSender,
  SignatureFault,
  SpfResult,
  SpfVerdict,
  Verdicts,
} from './verdicts.ts'
