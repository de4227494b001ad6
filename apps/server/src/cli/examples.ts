/** What stands below the help of each command. */
import { variableOf } from '@postern/intake/settings'

type ExamplesOf = 'postern' | 'serve' | 'front' | 'list' | 'show' | 'export' | 'delete' | 'sweep' | 'hash'

export const EXAMPLES: Readonly<Record<ExamplesOf, string>> = {
  postern: `
Examples:
  postern serve                      serve SMTP on 127.0.0.1:2525, keep mail in ./mail
  postern list                       what came in, newest first
  postern show ID                    read one
  postern export --format mbox       everything, as an mbox

postern COMMAND --help says more.
`,
  serve: `
Each option is also an environment variable (${variableOf('maxMessageBytes')}) and a key of
postern.config.ts (maxMessageBytes). A flag outranks the environment, which outranks the file.
Options that may be given several times take blanks between values in the environment.
Sizes are written 25MiB or 10MB, times 30s, 5m, 1h or 30d; bare numbers are bytes and milliseconds.

Examples:
  postern serve --listen smtp://127.0.0.1:2525 --store fs:./mail
  postern serve --listen 'smtp://*:25' --listen 'submission://*:587' --hostname mx.example.com \\
    --tls-key key.pem --tls-cert cert.pem --users "ann:$(postern hash)"
  postern serve --self-signed --debug
  ${variableOf('store')}=memory: postern serve

Signals: SIGINT and SIGTERM stop it when mail in progress is done, a second one stops it at once;
SIGHUP reads the TLS files again.
`,
  front: `
Each connection goes over a WebSocket of its own to a Worker, or to a server that listens on ws:// or
wss://, with the client's address and TLS in a header that --front-secret signs. TLS ends at the front,
STARTTLS included. ${variableOf('frontSecret')} shows the secret to fewer eyes than the flag.

Examples:
  postern front --listen 'smtp://*:25' --to wss://mail.example.workers.dev/pipe --tls-key key.pem --tls-cert cert.pem
  postern serve --listen ws://127.0.0.1:8025/pipe
  postern front --self-signed --to ws://127.0.0.1:8025/pipe

Signals: SIGINT and SIGTERM stop it when no connection is left, at the latest after --grace-ms, a second
one stops it at once; SIGHUP reads the TLS files again.
`,
  list: `
Examples:
  postern list --limit 10
  postern list --json | jq -r '.records[].id'
`,
  show: `
Examples:
  postern show 01JD2V5W3Q8XJ4T6Y9Z0A1B2C3
  postern show --raw 01JD2V5W3Q8XJ4T6Y9Z0A1B2C3 > message.eml
`,
  export: `
Formats:
  mbox      one file (mboxrd: lines that begin with From are quoted)
  maildir   a Maildir, for mutt or Dovecot; needs --output
  jsonl     one JSON object a line: the record, and the message as text or, where it is not UTF-8, as base64

Examples:
  postern export --format mbox --output mail.mbox
  postern export --format maildir --output ~/Maildir ID ID
  postern export --format jsonl | jq -r .message
`,
  delete: `
Example:
  postern delete 01JD2V5W3Q8XJ4T6Y9Z0A1B2C3
`,
  sweep: `
A server does the same by itself: it sweeps at start and daily, and expires at start and hourly. Both are safe beside
running servers. Mail that never committed is told from mail that is arriving by its age alone, so --older-than has to be
longer than a session may last: at least twice --session-timeout-ms and --hook-timeout-ms, which are to be the servers'.

Examples:
  postern sweep
  postern sweep --keep-age-ms 30d --keep-bytes 10GB
  ${variableOf('keepCount')}=1000 postern sweep --json
`,
  hash: `
Asks for the password, or reads it from standard input.

Examples:
  postern hash
  postern serve --listen submission://127.0.0.1:5587 --self-signed --users "ann:$(postern hash)"
`,
}
