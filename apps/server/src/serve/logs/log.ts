/**
 * Writes the structured log to stderr. Standard output is for what the user asked to see.
 *
 * Levels: `error` needs the operator's action, `warning` may become an error, `info` is what an operator looks up later (started,
 * message kept, command, login or message refused), `debug` follows each session. An event is one line, whatever clients
 * send: {@link PlainReader} bounds it and hides secrets before it is formatted. The engine itself hides what clients send
 * for AUTH from traces.
 */
import process from 'node:process'
import { configureSync, getLogger, type Logger, type LogRecord, type TextFormatter } from '@logtape/logtape'
import type { LogFormat, LogLevel } from '../../config/options/logs.ts'
import { PlainError, PlainReader } from './plain.ts'
import { type SecretOptions, Secrets } from './secrets.ts'
import { isTerminal, safe, safeJson, safeLines, wantsColour } from '../../host/terminal.ts'

/** The level and format of the log, and secrets to hide. */
export interface LogOptions extends Partial<SecretOptions> {
  readonly logLevel: LogLevel
  readonly logFormat: LogFormat
  readonly debug: boolean
}

/** The category of events that standard output has too: serving, message kept, stopping, stopped. */
export const NOTICE = 'notice'

/** Receives the lines. */
export interface LogOutput {
  readonly isTTY?: boolean
  write(text: string): unknown
}

/** An event, ready to be formatted. */
interface PlainRecord {
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** Sets up the log for the process or a worker, and returns the logger. */
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
      // With the pretty log the user also sees standard output, which has these events already.
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

/** Makes one JSON object a line: `@timestamp`, `level`, `message`, `logger`, and the event's own fields. */
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
 * Makes one line for an event: time, level, category, message, and the event's own fields as `name=value`. The stack of an error
 * follows in indented lines.
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

/** Writes the stacks of an error and of its causes. Returns '' if there are none to show. */
function stackOf(error: PlainError): string {
  const own = error.stack === undefined ? '' : `    ${safeLines(error.stack).replaceAll('\n', '\n    ')}\n`
  if (!(error.cause instanceof PlainError)) return own
  return `${own}    because of ${safe(summaryOf(error.cause))}\n${stackOf(error.cause)}`
}
