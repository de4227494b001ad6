/** Reads the text of Authentication-Results (RFC 8601 2.2) that others wrote. Each character is read once. */

/** Returns the text without comments, and divided at its semicolons. What is quoted stays whole. undefined: it ends inside of a comment or of quotes. */
export function resultsIn(text: string): readonly string[] | undefined {
  const parts: string[] = []
  let part = ''
  let depth = 0
  let isQuoted = false
  for (let at = 0; at < text.length; at++) {
    const sign = text.charAt(at)
    if (sign === '\\' && (isQuoted || depth > 0)) {
      at++
      if (depth === 0) part += text.charAt(at)
    } else if (depth > 0) {
      if (sign === '(') depth++
      else if (sign === ')') depth--
    } else if (sign === '"') isQuoted = !isQuoted
    else if (isQuoted) part += sign === ';' || sign === '=' ? '_' : sign
    else if (sign === '(') {
      depth = 1
      part += ' '
    } else if (sign === ';') {
      parts.push(part)
      part = ''
    } else part += sign
  }
  if (isQuoted || depth > 0) return undefined
  return [...parts, part].map((one) => one.trim())
}

/** Returns a property of one result in lower case: `header.from` of `dmarc=pass header.from=example.org`. */
export function propertyOf(result: string, name: string): string | undefined {
  const words = result.split(/[ \t]/).filter((word) => word !== '')
  const word = words.find((one) => one.toLowerCase().startsWith(`${name}=`))
  return word?.slice(name.length + 1).toLowerCase()
}
