/** Reading a message costs less than a MiB, however long the message is. */
import { execFileSync } from 'node:child_process'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { isThorough } from '../../../test/kit/sample.ts'

const PROGRAM = resolve(import.meta.dirname, 'memory-program.ts')
const MEBIBYTES = isThorough ? 1024 : 32
const CASES = [
  'attachment',
  'one line',
  'quoted-printable',
  'uuencode',
  'parts',
  'nested messages',
  'almost delimiters',
  'header fields',
  'one field',
  'lines without an end',
]

test.each(CASES.flatMap((name) => [[name, 'parts'] as const, [name, 'summary'] as const]))(
  `${MEBIBYTES} MiB of %s, read by %s, take less than a MiB of live memory`,
  (name, reader) => {
    const args = ['--expose-gc', PROGRAM, name, String(MEBIBYTES), reader]
    expect(Number(execFileSync(process.execPath, args, { encoding: 'utf8' }))).toBeLessThan(1024 * 1024)
  },
)
