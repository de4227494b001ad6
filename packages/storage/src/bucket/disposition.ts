/** Encoded, they take 1,200 octets. All fields of an object together may have 8 KiB in R2. */
const MAX_CHARACTERS = 100

/**
 * Makes a Content-Disposition with which a browser downloads an object and shows none of it: RFC 6266 4.1, RFC 8187 3.2. Programs that do
 * not know the second name take the first, in which `_` stands for other characters.
 */
export function attachmentDisposition(fileName: string): string {
  const name = Array.from(fileName.toWellFormed()).slice(0, MAX_CHARACTERS).join('').replace(/[/\\]/g, '_')
  const simple = name.replace(/[^\x20-\x7e]|["%]/gu, '_')
  const encoded = encodeURIComponent(name).replace(
    /['()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `attachment; filename="${simple}"; filename*=UTF-8''${encoded}`
}
