/** Content-Transfer-Encoding: RFC 2045 6. */
import type { DefectCode } from '../defect.ts'

/** Decodes the octets of one body, piece after piece. How they are cut changes nothing but where the pieces end. */
export interface TransferDecoder {
  /** Returns what the next piece decodes to. It may be a view of the piece. */
  write(piece: Uint8Array): Uint8Array
  /** Returns what is left at the end. */
  end(): Uint8Array
}

/** Hears of each defect. */
export type TellDefect = (code: DefectCode) => void

export const NOTHING: Uint8Array = new Uint8Array(0)

/** 7bit, 8bit and binary. */
export const IDENTITY: TransferDecoder = { write: (piece) => piece, end: () => NOTHING }
