/** The multiparts and messages that are open, and the lines that end their parts: RFC 2046 5.1.1. */
import type { DefectList } from '../defect.ts'

/** A multipart or a message that has begun. */
export interface Frame {
  /** The multipart's boundary; undefined for a message. */
  readonly boundary: string | undefined
  /** The section of what is inside begins with it. */
  readonly section: string
  /** The type of parts that name none. */
  readonly defaultType: string
  /** Of the part that it is. */
  readonly defects: DefectList
  parts: number
}

export interface Delimiter {
  /** The position of the multipart among the frames. */
  readonly index: number
  /** It closes the multipart. */
  readonly isClose: boolean
}

const HYPHEN = 45
const LF = 10
const CR = 13
const SPACE = 32
const TAB = 9

/** RFC 2046 has 70. */
const MAX_BOUNDARY = 200
/** A longer line is no delimiter: "--", the boundary, "--", and some white space of a transport. */
export const MAX_DELIMITER_OCTETS: number = MAX_BOUNDARY + 56

export class Boundaries {
  readonly frames: Frame[] = []
  /** Where each boundary stands in `frames`. The innermost one counts. */
  readonly #places = new Map<string, number[]>()

  /** No line can be a delimiter. */
  get isEmpty(): boolean {
    return this.#places.size === 0
  }

  push(frame: Frame): void {
    if (frame.boundary !== undefined) {
      const places = this.#places.get(frame.boundary)
      if (places === undefined) this.#places.set(frame.boundary, [this.frames.length])
      else places.push(this.frames.length)
    }
    this.frames.push(frame)
  }

  pop(): Frame | undefined {
    const frame = this.frames.pop()
    if (frame?.boundary !== undefined) {
      const places = this.#places.get(frame.boundary) as number[]
      places.pop()
      if (places.length === 0) this.#places.delete(frame.boundary)
    }
    return frame
  }

  /** Returns the delimiter that a line is. @param end Behind the line, with its LF or without */
  find(bytes: Uint8Array, start: number, end: number): Delimiter | undefined {
    let last = end
    while (last > start && isPadding(bytes[last - 1] as number)) last--
    if (last - start < 3 || last - start > MAX_DELIMITER_OCTETS) return undefined
    if (bytes[start] !== HYPHEN || bytes[start + 1] !== HYPHEN) return undefined
    let text = ''
    for (let i = start + 2; i < last; i++) text += String.fromCharCode(bytes[i] as number)
    // A boundary may itself end with "--".
    const index = this.#places.get(text)?.at(-1)
    if (index !== undefined) return { index, isClose: false }
    const closed = text.endsWith('--') ? this.#places.get(text.slice(0, -2))?.at(-1) : undefined
    return closed === undefined ? undefined : { index: closed, isClose: true }
  }
}

/** Returns the boundary as `find` compares it; undefined if it cannot be one. */
export function validBoundary(parameter: string | undefined): string | undefined {
  const boundary = parameter?.trimEnd()
  if (boundary === undefined || boundary === '' || boundary.length > MAX_BOUNDARY) return undefined
  // Octets are compared. A header that is not ASCII was decoded.
  return /^[ -~]+$/.test(boundary) ? boundary : undefined
}

function isPadding(octet: number): boolean {
  return octet === LF || octet === CR || octet === SPACE || octet === TAB
}
