/**
 * Logs: structured, to stderr; standard output belongs to what the user asked to see.
 *
 * Levels: `error` is ours to mend, `warning` will become one, `info` is what an operator wants to look up later (started,
 * message kept, message or login refused), `debug` follows each session. Credentials are hidden where they arise (the
 * engine never hands them to a trace); the filters here are the second net.
 */
import process from 'node:process'
import {
  configureSync,
  getJsonLinesFormatter,
  getLogger,
  type Logger,
  type LogRecord,
  type TextFormatter,
} from '@logtape/logtape'
import { redactByField, redactByPattern } from '@logtape/redaction'
import type { LogLevel } from './config.ts'
import { isTerminal, safe, safeLines, wantsColour } from './terminal.ts'

/** How much is logged, and in what form. */
export interface LogOptions {
  readonly logLevel: LogLevel
  readonly logFormat: 'auto' | 'pretty' | 'json'
  readonly debug: boolean
}

/** The names of properties whose value is never logged, at any depth. */
const SECRET_FIELDS = [
  /pass(word|phrase|code)?$/i,
  /secret/i,
  /credential/i,
  /token/i,
  /^authorization$/i,
  /^private.?key$/i,
]

/** Secrets in running text. */
const SECRET_TEXTS = [
  // AUTH with an initial response (RFC 4954 4)
  { pattern: /\b(AUTH\s+[\w-]+\s+)(?!\(credentials\))[\w+/=]+/gi, replacement: '$1(credentials)' },
  // The user and password of a URL
  { pattern: /(\/\/)[^\s/@"']+:[^\s/@"']+@/g, replacement: '$1(credentials)@' },
  // A password hash
  { pattern: /\$scrypt\$[\w=,$+/]+/g, replacement: '(credentials)' },
  {
    pattern: /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g,
    replacement: '(credentials)',
  },
]

/** The category of what is also said on standard output: serving, message kept, stopping, stopped. */
export const NOTICE = 'notice'

/** Where lines go. */
export interface LogOutput {
  readonly isTTY?: boolean
  write(text: string): unknown
}

/** Sets the logs up, for the whole process or a worker, and gives the logger of the server. */
export async function openLog(
  { logLevel, logFormat, debug }: LogOptions,
  output: LogOutput = process.stderr,
): Promise<Logger> {
  const isPretty = logFormat === 'pretty' || (logFormat === 'auto' && isTerminal(output))
  const format = redactByPattern(isPretty ? await prettyFormatter(output) : jsonFormatter(), SECRET_TEXTS)
  const write = redactByField((record: LogRecord) => void output.write(format(record)), {
    fieldPatterns: SECRET_FIELDS,
    action: () => '(hidden)',
  })
  const lowestLevel = debug && isAbove(logLevel, 'debug') ? 'debug' : logLevel
  configureSync({
    sinks: { stderr: write },
    loggers: [
      { category: ['postern'], sinks: ['stderr'], lowestLevel },
      // Who reads the pretty log reads standard output beside it, which says these things already.
      ...(isPretty ? [{ category: ['postern', NOTICE], lowestLevel: 'warning' as const }] : []),
      { category: ['logtape', 'meta'], sinks: ['stderr'], lowestLevel: 'error' },
    ],
    reset: true,
  })
  return getLogger(['postern'])
}

const LEVELS: readonly LogLevel[] = ['trace', 'debug', 'info', 'warning', 'error', 'fatal']

function isAbove(level: LogLevel, other: LogLevel): boolean {
  return LEVELS.indexOf(level) > LEVELS.indexOf(other)
}

/** One object a line: `@timestamp`, `level`, `logger`, `message`, and the event's own fields beside them. */
function jsonFormatter(): TextFormatter {
  return getJsonLinesFormatter({ categorySeparator: '.', properties: 'flatten' })
}

/** One line an event: time, level, category, message, and the event's own fields as `name=value`. */
async function prettyFormatter(output: LogOutput): Promise<TextFormatter> {
  const { getPrettyFormatter } = await import('@logtape/pretty')
  const format = getPrettyFormatter({
    timestamp: 'time',
    icons: false,
    align: false,
    wordWrap: false,
    categoryStyle: null,
    messageStyle: null,
    messageColor: null,
    levelStyle: null,
    colors: wantsColour(output),
  })
  return (record) => format({ ...record, message: [`${safe(record.message.join(''))}${fields(record.properties)}`] })
}

/** What strangers wrote is among them, so they are made safe for the terminal. */
function fields(properties: Readonly<Record<string, unknown>>): string {
  return Object.entries(properties)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => {
      if (value instanceof Error) return `\n${safeLines(stackOf(value))}`
      const text = typeof value === 'string' ? value : JSON.stringify(value)
      return ` ${name}=${safe(/[\s"]/.test(text) && typeof value === 'string' ? JSON.stringify(text) : text)}`
    })
    .join('')
}

/** The stack of an error and of what caused it, and so on. */
function stackOf(error: Error, depth = 0): string {
  const stack = error.stack ?? error.message
  return error.cause instanceof Error && depth < 5 ? `${stack}\nbecause of ${stackOf(error.cause, depth + 1)}` : stack
}
