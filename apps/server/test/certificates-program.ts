/** Opens certificate files as `postern serve` does, for each given row, and prints the result. Runs on each runtime. */
import process from 'node:process'
import { getLogger } from '@logtape/logtape'
import { openLog } from '../src/serve/logs/log.ts'
import { readSettings } from '../src/config/settings.ts'
import { warnOfDates } from '../src/serve/tls/dates.ts'
import { openTls } from '../src/serve/tls/tls.ts'

const rows = JSON.parse(process.argv[2] ?? '[]') as Record<string, string>[]
const outcomes: string[] = []
await openLog(
  { logLevel: 'info', logFormat: 'json', debug: false },
  { write: (line) => void outcomes.push(`${outcomes.pop()}, ${(JSON.parse(line) as { message: string }).message}`) },
)
for (const flags of rows) {
  try {
    const tls = await openTls(await readSettings(flags, {}))
    outcomes.push(tls === undefined ? 'no TLS' : 'opened')
    if (tls !== undefined) warnOfDates(tls, getLogger(['postern']))
  } catch (error) {
    const { name, message, stack } = error as Error
    outcomes.push(name === 'Failure' ? message : `a bug: ${stack}`)
  }
}
console.log(JSON.stringify(outcomes))
process.exit(0)
