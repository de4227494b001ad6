/**
 * Logs: structured, to stderr; standard output belongs to what the user asked to see.
 *
 * Levels: `error` is ours to mend, `warning` will become one, `info` is what an operator wants to look up later (started,
 * message kept, command, login or message refused), `debug` follows each session. An event is one line, whatever strangers
 * send: {@link PlainReader} bounds it and hides secrets before it is formatted. What clients say to AUTH is hidden where it
 * arises, because the engine hands no credentials to a trace.
 */
import process from 'node:process'
import { configureSync, getLogger, type Logger, type LogRecord, type TextFormatter } from '@logtape/logtape'
import type { LogFormat, LogLevel } from '../../config/options/logs.ts'
import { PlainError, PlainReader } from './plain.ts'
import { type SecretOptions, Secrets } from './secrets.ts'
import { isTerminal, safe, safeJson, safeLines, wantsColour } from '../../host/terminal.ts'

/** How much is logged, in what form, and what never is. */
export interface LogOptions extends Partial<SecretOptions> {
  readonly logLevel: LogLevel
  readonly logFormat: LogFormat
  readonly debug: boolean
}

/** The category of what is also said on standard output: serving, message kept, stopping, stopped. */
export const NOTICE = 'notice'

/** Where lines go. */
export interface LogOutput {
  readonly isTTY?: boolean
  write(text: string): unknown
}

/** An event as it is formatted. */
interface PlainRecord {
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** Sets the logs up, for the whole process or a worker, and gives the logger of the server. */
export async function openLog(options: LogOptions, output: LogOutput = process.stderr): Promise<Logger> {
  const { logLevel, logFormat, debug } = options
  const isPretty = logFormat === 'pretty' || (logFormat === 'auto' && isTerminal(output))
  const secrets = new Secrets(options)
  const format = isPretty ? await prettyFormatter(output, secrets) : jsonFormatter(secrets)
  const lowestLevel = debug && isAbove(logLevel, 'debug') ? 'debug' : logLevel
  configureSync({
    sinks: { stderr: (record) => void output.write(format(record)) },
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

function plain({ level, message, properties }: LogRecord, secrets: Secrets): PlainRecord {
  const reader = new PlainReader(secrets, level === 'fatal')
  return { message: reader.text('message', message.join('')), fields: reader.fields(properties) }
}

/** One object a line: `@timestamp`, `level`, `message`, `logger`, and the event's own fields beside them. */
function jsonFormatter(secrets: Secrets): TextFormatter {
  return (record) => {
    const { message, fields } = plain(record, secrets)
    const line = {
      '@timestamp': new Date(record.timestamp).toISOString(),
      level: record.level === 'warning' ? 'WARN' : record.level.toUpperCase(),
      message,
      logger: record.category.join('.'),
      ...fields,
    }
    return `${safeJson(line)}\n`
  }
}

/**
 * One line an event: time, level, category, message, and the event's own fields as `name=value`. An error with a stack has
 * more lines, which are indented.
 */
async function prettyFormatter(output: LogOutput, secrets: Secrets): Promise<TextFormatter> {
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
  return (record) => {
    const { message, fields } = plain(record, secrets)
    const texts = Object.entries(fields).map(([name, value]) => fieldText(name, value))
    const stacks = Object.values(fields).map((value) => (value instanceof PlainError ? stackOf(value) : ''))
    return format({ ...record, message: [safe(message) + texts.join('')] }) + stacks.join('')
  }
}

function fieldText(name: string, value: unknown): string {
  if (value === undefined) return ''
  const text =
    value instanceof PlainError ? summaryOf(value) : typeof value === 'string' ? value : JSON.stringify(value)
  const isQuoted = typeof value !== 'object' && /[\s"]/.test(text)
  return ` ${name}=${safe(isQuoted || value instanceof PlainError ? JSON.stringify(text) : text)}`
}

function summaryOf({ name, message }: PlainError): string {
  return message === '' ? name : `${name}: ${message}`
}

/** The stack of an error and of what caused it, and so on; '' where none is to be shown. */
function stackOf(error: PlainError): string {
  const own = error.stack === undefined ? '' : `    ${safeLines(error.stack).replaceAll('\n', '\n    ')}\n`
  if (!(error.cause instanceof PlainError)) return own
  return `${own}    because of ${safe(summaryOf(error.cause))}\n${stackOf(error.cause)}`
}
