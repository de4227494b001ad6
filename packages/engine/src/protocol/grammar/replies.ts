/** The engine's own replies. Codes are those of RFC 5321 4.2.2 and 4.3.2, enhanced codes those of RFC 3463 and 2034. */
import { type Reply, reply } from './reply.ts'

export const OK: Reply = reply(250, '2.0.0', 'OK')
export const SENDER_OK: Reply = reply(250, '2.1.0', 'Sender OK')
export const RECIPIENT_OK: Reply = reply(250, '2.1.5', 'Recipient OK')
export const CHUNK_OK: Reply = reply(250, '2.0.0', 'Chunk OK')
export const START_MAIL_INPUT: Reply = reply(354, '', 'End data with <CR><LF>.<CR><LF>')
export const GOODBYE: Reply = reply(221, '2.0.0', 'Goodbye')
export const READY_FOR_TLS: Reply = reply(220, '2.0.0', 'Ready to start TLS')
export const CANNOT_VERIFY: Reply = reply(252, '2.5.0', 'Cannot verify; send RCPT to find out')
export const AUTHENTICATED: Reply = reply(235, '2.7.0', 'Authentication succeeded')

export const LINE_TOO_LONG: Reply = reply(500, '5.5.2', 'Line too long')
export const BARE_LINE_ENDING: Reply = reply(500, '5.5.2', 'Lines end with CRLF')
export const NOT_ASCII: Reply = reply(501, '5.5.2', 'Only printable ASCII here')
export const SYNTAX: Reply = reply(501, '5.5.2', 'Syntax error')
export const NO_BRACKETS: Reply = reply(501, '5.5.2', 'Paths stand in angle brackets')
export const BAD_REVERSE_PATH: Reply = reply(501, '5.1.7', 'Not a valid reverse-path')
export const BAD_FORWARD_PATH: Reply = reply(501, '5.1.3', 'Not a valid forward-path')
export const NEEDS_SMTPUTF8: Reply = reply(553, '5.6.7', 'Address needs SMTPUTF8')
export const NO_ARGUMENT: Reply = reply(501, '5.5.4', 'This command takes no argument')
export const ARGUMENT_WANTED: Reply = reply(501, '5.5.4', 'This command takes an argument')
export const BAD_CHUNK_SIZE: Reply = reply(501, '5.5.4', 'BDAT takes a size, and LAST')
export const UNKNOWN_COMMAND: Reply = reply(500, '5.5.1', 'Command not recognised')
export const COMMAND_OFF: Reply = reply(502, '5.5.1', 'Command not implemented')
export const BINARY_NEEDS_BDAT: Reply = reply(503, '5.5.1', 'BODY=BINARYMIME is sent by BDAT')
export const TOO_MANY_RECIPIENTS: Reply = reply(452, '4.5.3', 'Too many recipients')

export const ENVELOPE_TOO_LARGE: Reply = reply(
  452,
  '4.5.3',
  'Envelope is too large; send the rest in another transaction',
)
export const OUT_OF_MEMORY: Reply = reply(452, '4.3.1', 'Too much mail at the same time; try again later')

export const TLS_REQUIRED: Reply = reply(530, '5.7.0', 'Must issue a STARTTLS command first')
export const TLS_ACTIVE: Reply = reply(503, '5.5.1', 'TLS is active')
export const AUTH_REQUIRED: Reply = reply(530, '5.7.0', 'Authentication required')
export const ALREADY_AUTHENTICATED: Reply = reply(503, '5.5.1', 'Already authenticated')
export const UNKNOWN_MECHANISM: Reply = reply(504, '5.5.4', 'Mechanism not recognised')
export const MECHANISM_NEEDS_TLS: Reply = reply(538, '5.7.11', 'Encryption required for this mechanism')
export const AUTH_CANCELLED: Reply = reply(501, '5.7.0', 'Authentication cancelled')
export const BAD_RESPONSE: Reply = reply(501, '5.5.2', 'Not a valid response')
export const BAD_CREDENTIALS: Reply = reply(535, '5.7.8', 'Authentication credentials invalid')
export const AUTH_UNAVAILABLE: Reply = reply(454, '4.7.0', 'Temporary authentication failure')

export const BARE_LINE_ENDING_IN_MESSAGE: Reply = reply(550, '5.6.0', 'Message has a bare CR or LF')
export const TEXT_LINE_TOO_LONG: Reply = reply(500, '5.6.0', 'Message has a line that is too long')
export const LOCAL_ERROR: Reply = reply(451, '4.3.0', 'Temporary local problem; try again later')
export const NOT_ACCEPTING_MESSAGES: Reply = reply(550, '5.3.2', 'This system takes no messages')

export const TIMED_OUT: Reply = reply(421, '4.4.2', 'Timed out')
export const SHUTTING_DOWN: Reply = reply(421, '4.3.2', 'Server is shutting down')
export const NOT_AVAILABLE: Reply = reply(421, '4.3.0', 'Service not available')
export const TOO_MANY_CONNECTIONS: Reply = reply(421, '4.7.0', 'Too many connections')
export const IDLE_WHEN_FULL: Reply = reply(421, '4.7.0', 'Too many connections, and this one was idle')
export const TOO_MANY_ERRORS: Reply = reply(421, '4.7.0', 'Too many errors')
export const TOO_MANY_IDLE_COMMANDS: Reply = reply(421, '4.7.0', 'Too many commands without a message')
export const TOO_MANY_FAILED_AUTHS: Reply = reply(421, '4.7.0', 'Too many failed authentications')
export const TOO_MANY_COMMANDS_BEFORE_AUTH: Reply = reply(421, '4.7.0', 'Too many commands before authentication')
export const TOO_MUCH_DATA: Reply = reply(421, '4.7.0', 'Message is far too large')
export const NOT_SMTP: Reply = reply(421, '4.7.0', 'This is an SMTP server')
export const TOO_EARLY: Reply = reply(554, '5.5.0', 'Wait for the greeting')
