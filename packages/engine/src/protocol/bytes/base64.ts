/** Base64 (RFC 4648 4), exactly: no line breaks, no missing padding. */

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** Undoes base64. Returns undefined if it is not exactly that. */
export function decodeBase64(text: string): Uint8Array | undefined {
  return BASE64.test(text) ? Uint8Array.from(atob(text), (octet) => octet.charCodeAt(0)) : undefined
}

export function encodeBase64(octets: Uint8Array): string {
  let binary = ''
  for (const octet of octets) binary += String.fromCharCode(octet)
  return btoa(binary)
}
