/** The log's level and format. */
import { oneOf } from '../values/schema.ts'
import { onOff, type Option } from './row.ts'

/** From the lowest to the highest. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warning' | 'error' | 'fatal'
export type LogFormat = 'auto' | 'pretty' | 'json'

export interface LogRows {
  /** The lowest level to log. Default `info`. */
  readonly logLevel: Option<LogLevel, LogLevel>
  /** `json` writes only JSON lines, to stderr; `auto` is `pretty` on a terminal. Default `auto`. */
  readonly logFormat: Option<LogFormat, LogFormat>
  /** Log all commands and replies, without credentials and message text. Default false. */
  readonly debug: Option<boolean, boolean>
}

const group = 'Logs:'

export const logRows: LogRows = {
  logLevel: {
    schema: oneOf('trace', 'debug', 'info', 'warning', 'error', 'fatal'),
    byDefault: 'info',
    help: 'lowest level to log: trace, debug, info, warning, error, fatal',
    group,
    value: 'level',
    commands: ['serve', 'front'],
  },
  logFormat: {
    schema: oneOf('auto', 'pretty', 'json'),
    byDefault: 'auto',
    help: 'pretty, json, or auto: pretty on a terminal',
    group,
    value: 'format',
    commands: ['serve', 'front'],
  },
  debug: onOff({ group, help: 'log all commands and replies, without credentials' }),
}
