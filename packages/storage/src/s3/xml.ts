/**
 * Reads as much XML as the answers of S3 need: the texts of elements by their names. The answers are flat, their
 * attributes do not matter, and they come from the server that keeps the mail. A full XML parser would be many times
 * the size of this file.
 */

/** Returns the text between `<name>` and `</name>` of each such element, not decoded. */
export function elements(xml: string, name: string): string[] {
  const found: string[] = []
  const end = `</${name}>`
  let at = 0
  for (;;) {
    const start = startOf(xml, name, at)
    if (start === undefined) return found
    if (start.isEmpty) {
      found.push('')
      at = start.behind
      continue
    }
    const stop = xml.indexOf(end, start.behind)
    if (stop === -1) return found
    found.push(xml.slice(start.behind, stop))
    at = stop + end.length
  }
}

/** Returns the decoded text of the first element of this name; undefined if there is none. */
export function textOf(xml: string, name: string): string | undefined {
  const [first] = elements(xml, name)
  return first === undefined ? undefined : decoded(first)
}

/** Encodes a text for an element. */
export function encoded(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

interface StartTag {
  readonly behind: number
  /** `<name/>` */
  readonly isEmpty: boolean
}

function startOf(xml: string, name: string, from: number): StartTag | undefined {
  for (let at = xml.indexOf(`<${name}`, from); at !== -1; at = xml.indexOf(`<${name}`, at + 1)) {
    const next = xml.charAt(at + 1 + name.length)
    // Skips longer names that begin with this one.
    if (!/[\s/>]/.test(next)) continue
    const close = xml.indexOf('>', at)
    if (close === -1) return undefined
    return { behind: close + 1, isEmpty: xml.charAt(close - 1) === '/' }
  }
  return undefined
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function decoded(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(amp|lt|gt|quot|apos));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return NAMED[String(name).toLowerCase()] ?? whole
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal)
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })
}
