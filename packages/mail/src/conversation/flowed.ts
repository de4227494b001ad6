/** Text of `format=flowed`: RFC 3676. */

const SIGNATURE = '-- '

/**
 * Joins the lines that a program has broken, and removes the stuffing of blanks. A quoted line begins with one `>` for each depth and a blank.
 *
 * @param text Lines end with LF or CRLF. The result has LF
 * @param delSp The parameter `DelSp=yes`: the blank at the end of a broken line is not part of the text
 */
export function unflowed(text: string, delSp: boolean): string {
  const lines: string[] = []
  let paragraph = ''
  let depth = -1
  const end = (): void => {
    if (depth >= 0) lines.push(`${'>'.repeat(depth)}${depth > 0 && paragraph !== '' ? ' ' : ''}${paragraph}`)
    paragraph = ''
    depth = -1
  }
  for (const raw of text.split('\n')) {
    const written = raw.endsWith('\r') ? raw.slice(0, -1) : raw
    const quotes = quoteDepth(written)
    // RFC 3676 4.4: a blank was put in front of lines that begin with a blank, `>` or "From ".
    const line = written.slice(written[quotes] === ' ' ? quotes + 1 : quotes)
    // RFC 3676 4.5: a line of another depth ends a paragraph, although its last line says that it goes on.
    if (depth >= 0 && (depth !== quotes || line === SIGNATURE)) end()
    const isFlowed = line.endsWith(' ') && line !== SIGNATURE
    depth = quotes
    paragraph += isFlowed && delSp ? line.slice(0, -1) : line
    if (!isFlowed) end()
  }
  end()
  return lines.join('\n')
}

function quoteDepth(line: string): number {
  let depth = 0
  while (line[depth] === '>') depth++
  return depth
}
