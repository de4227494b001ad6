/** The test suite of RFC 7208: its scenarios as zones and messages. */
import { mustRun } from '../../../../test/kit/tool.ts'
import { DEBIAN_PYTHON, SPF_SUITE_FILE } from '../../../../test/kit/abilities.ts'
import type { JobMessage } from './job.ts'
import type { Zone } from './zone.ts'

interface Scenario {
  readonly tests: Readonly<
    Record<
      string,
      { readonly helo: string; readonly host: string; readonly mailfrom?: string; readonly result: string | string[] }
    >
  >
  readonly zonedata: Readonly<Record<string, readonly ('TIMEOUT' | Readonly<Record<string, unknown>>)[]>>
}

export interface SpfSuite {
  readonly zones: readonly Zone[]
  readonly messages: readonly JobMessage[]
  /** By message: its name, and each result that is right. */
  readonly wanted: readonly { readonly name: string; readonly results: readonly string[] }[]
}

const CONVERT = `
import gzip, json, sys, yaml
print(json.dumps([one for one in yaml.safe_load_all(gzip.open(sys.argv[1])) if one]))`

export async function readSpfSuite(): Promise<SpfSuite> {
  const { stdout } = await mustRun(DEBIAN_PYTHON, ['-c', CONVERT, SPF_SUITE_FILE])
  const scenarios = JSON.parse(stdout.toString()) as Scenario[]
  const rows = scenarios.flatMap(({ tests }, zone) =>
    Object.entries(tests).map(([name, { helo, host, mailfrom = '', result }]) => ({
      wanted: { name, results: [result].flat() },
      message: { zone, address: host, hello: helo, reversePath: mailfrom, message: '' },
    })),
  )
  return {
    zones: scenarios.map(zoneOf),
    messages: rows.map(({ message }) => message),
    wanted: rows.map(({ wanted }) => wanted),
  }
}

function zoneOf({ zonedata }: Scenario): Zone {
  return Object.fromEntries(
    Object.entries(zonedata).map(([name, records]) => {
      const isLate = records.includes('TIMEOUT')
      const given = records.filter((one) => one !== 'TIMEOUT').flatMap((one) => Object.entries(one))
      const valuesOf = (type: string): unknown[] => given.filter(([key]) => key === type).map(([, value]) => value)
      const texts = valuesOf('TXT')
      // The suite leaves it to its reader to publish records of the old type SPF as TXT.
      const published = texts.length === 0 ? valuesOf('SPF') : texts.filter((text) => text !== 'NONE')
      const exchanges = valuesOf('MX') as [number, string][]
      const zone = {
        TXT: published,
        A: valuesOf('A'),
        AAAA: (valuesOf('AAAA') as string[]).map((address) => address.toLowerCase()),
        PTR: valuesOf('PTR'),
        CNAME: valuesOf('CNAME'),
        MX: exchanges.map(([preference, exchange]) => ({ preference, exchange })),
        ...(isLate && { fails: 'timeout' as const }),
      }
      return [name.toLowerCase(), zone]
    }),
  )
}
