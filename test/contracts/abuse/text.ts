/** Texts of messages, and parameters of MAIL and RCPT, from a seed. */
import type { Random } from '../../kit/random.ts'

const FRAGMENTS: readonly string[] = [
  'hello',
  'a b c',
  '.',
  '..',
  '.x',
  ' ',
  '\t',
  'From: ann',
  'RSET',
  'QUIT',
  'é',
  '=3D',
  '\0',
]

/** Returns lines of a message, without their ends. */
export function message(random: Random): string[] {
  const header = ['From: ann@sender.example', 'Subject: abuse', '']
  const body = Array.from({ length: random.below(12) }, () => {
    if (random.below(12) === 0) return 'x'.repeat(random.below(990))
    const words = Array.from({ length: random.below(4) }, () => FRAGMENTS[random.below(FRAGMENTS.length)] ?? '')
    return words.join(random.below(2) === 0 ? '' : ' ')
  })
  return random.below(8) === 0 ? body : [...header, ...body]
}

/** Joins lines of a message. @param isStuffed As DATA sends them, with the end of the data */
export function lines(text: readonly string[], isStuffed: boolean): string {
  if (!isStuffed) return text.map((line) => `${line}\r\n`).join('')
  return `${text.map((line) => `${line.startsWith('.') ? '.' : ''}${line}\r\n`).join('')}.\r\n`
}

const MAIL: readonly string[] = [
  'SIZE=1000', 'BODY=8BITMIME', 'BODY=7BIT', 'SMTPUTF8', 'RET=HDRS', 'RET=FULL', 'ENVID=abc+2Bdef', 'AUTH=<>',
  'AUTH=ann+40sender.example', 'MT-PRIORITY=3', 'MT-PRIORITY=-9', 'BY=120;R', 'BY=-60;NT', 'HOLDFOR=3600',
  'HOLDUNTIL=2037-01-01T00:00:00Z',
] // prettier-ignore
const FORWARD: readonly string[] = [
  'NOTIFY=NEVER', 'NOTIFY=SUCCESS,DELAY', 'NOTIFY=FAILURE', 'ORCPT=rfc822;bob+40example.com',
] // prettier-ignore

/** Returns parameters of MAIL, each with a blank before it. */
export function mailParameters(random: Random): string {
  return parameters(random, MAIL)
}

export function forwardParameters(random: Random): string {
  return parameters(random, FORWARD)
}

/** Chooses parameters. Each keyword comes once, and only one of HOLDFOR and HOLDUNTIL. */
function parameters(random: Random, from: readonly string[]): string {
  const chosen = new Map<string, string>()
  while (random.below(2) === 0) {
    const parameter = from[random.below(from.length)] ?? ''
    chosen.set(parameter.split('=', 1)[0]?.replace('HOLDUNTIL', 'HOLDFOR') ?? '', parameter)
  }
  return [...chosen.values()].map((parameter) => ` ${parameter}`).join('')
}
