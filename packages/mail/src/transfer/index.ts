/** Chooses the decoder of a body. */
import { Base64Decoder } from './base64.ts'
import { QuotedPrintableDecoder } from './quoted-printable.ts'
import { IDENTITY, type TellDefect, type TransferDecoder } from './transfer.ts'
import { UuencodeDecoder } from './uuencode.ts'

/** @param encoding The name in lower case. An unknown one is told and leaves the octets as they are */
export function transferDecoder(encoding: string, tell: TellDefect): TransferDecoder {
  switch (encoding) {
    case 'base64':
      return new Base64Decoder(tell)
    case 'quoted-printable':
      return new QuotedPrintableDecoder(tell)
    case 'uuencode':
    case 'x-uuencode':
    case 'x-uue':
    case 'uue':
      return new UuencodeDecoder(tell)
    case '7bit':
    case '8bit':
    case 'binary':
      return IDENTITY
    default:
      tell('encoding-unknown')
      return IDENTITY
  }
}

export { IDENTITY, NOTHING, type TellDefect, type TransferDecoder } from './transfer.ts'
