/**
 * The messages that the two ends of a pipe send besides bytes.
 *
 * A binary frame is bytes of the connection. A text frame is one of these messages, as JSON. Frames take effect in the order in
 * which they were sent. A frame that is not exactly as written here ends the connection: the peer is authenticated, so that such
 * a frame is a bug.
 *
 * | Message | From | Means |
 * | --- | --- | --- |
 * | `credit` | both | binary frames up to this number, counted from the first of the connection, may be sent |
 * | `end` | both | no more bytes come from this side |
 * | `startTls` | server | once all bytes before it are with the client: make the handshake |
 * | `tls` | front | it is made; bytes from here on came through it |
 * | `early` | front | no handshake: so many bytes had come in clear, and were dropped |
 * | `tlsFailed` | front | the handshake failed, and the client is gone |
 */
import type { TlsInfo } from '@postern/engine'
import { hasOnly, readTls } from './facts.ts'

export type Control =
  | { readonly type: 'credit'; readonly frames: number }
  | { readonly type: 'end' }
  | { readonly type: 'startTls' }
  | { readonly type: 'tls'; readonly tls: TlsInfo }
  | { readonly type: 'early'; readonly byteLength: number }
  | { readonly type: 'tlsFailed'; readonly reason: string }

/** Longer messages, in characters, are refused without being read. */
export const MAX_CONTROL_LENGTH = 8_192
const MAX_REASON_LENGTH = 500

/** Reads a text frame. Returns undefined if it is not exactly one of these messages. */
export function readControl(text: string): Control | undefined {
  if (text.length > MAX_CONTROL_LENGTH) return undefined
  const given = parse(text)
  if (given === undefined) return undefined
  const { type, frames, tls, byteLength, reason } = given
  switch (type) {
    case 'credit':
      return hasOnly(given, 'type', 'frames') && isCount(frames) ? { type, frames } : undefined
    case 'end':
    case 'startTls':
      return hasOnly(given, 'type') ? { type } : undefined
    case 'tls': {
      const info = readTls(tls)
      return hasOnly(given, 'type', 'tls') && info !== undefined ? { type, tls: info } : undefined
    }
    case 'early':
      return hasOnly(given, 'type', 'byteLength') && isCount(byteLength) ? { type, byteLength } : undefined
    case 'tlsFailed': {
      const isText = typeof reason === 'string' && reason.length <= MAX_REASON_LENGTH
      return hasOnly(given, 'type', 'reason') && isText ? { type, reason } : undefined
    }
    default:
      return undefined
  }
}

/** Makes the text frame of a message. */
export function writeControl(control: Control): string {
  if (control.type !== 'tlsFailed') return JSON.stringify(control)
  return JSON.stringify({ ...control, reason: control.reason.slice(0, MAX_REASON_LENGTH) })
}

function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
