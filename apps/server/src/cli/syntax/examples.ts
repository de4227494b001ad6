/** The text below the help of each command. */
import { variableOf } from '@postern/intake/settings'

type ExamplesOf =
  | 'postern'
  | 'serve'
  | 'front'
  | 'list'
  | 'watch'
  | 'show'
  | 'attachments'
  | 'release'
  | 'export'
  | 'delete'
  | 'sweep'
  | 'send'
  | 'sendmail'
  | 'hash'
  | 'user'
  | 'alias'
  | 'domain'
  | 'rule'
  | 'dkim'
  | 'queue'
  | 'completion'

export const EXAMPLES: Readonly<Record<ExamplesOf, string>> = {
  postern: `
Examples:
  postern serve                      serve SMTP on 127.0.0.1:2525, store mail in ./mail
  postern list                       list stored messages, newest first
  postern show ID                    show one message
  postern export --format mbox       export all messages as an mbox

See postern help COMMAND for the options of a command.
`,
  serve: `
Each option is also an environment variable (${variableOf('maxMessageBytes')}) and a key of
postern.config.ts (maxMessageBytes). A flag overrides the environment, which overrides the file.
If an option can be given several times, its environment variable has blanks between the values.
Write sizes as 25MiB or 10MB, and times as 30s, 5m, 1h or 30d. A number without a unit is bytes or milliseconds.

Examples:
  postern serve --listen smtp://127.0.0.1:2525 --store fs:./mail
  postern serve --listen 'smtp://*:25' --listen 'submission://*:587' --hostname mx.example.com \\
    --tls-key key.pem --tls-cert cert.pem --users "ann:$(postern hash)"
  postern serve --self-signed --debug
  ${variableOf('store')}=memory: postern serve

Signals: after SIGINT or SIGTERM the server finishes mail in progress and stops. A second one stops it
at once. After SIGHUP it reads the TLS files again.
`,
  front: `
The front opens a WebSocket for each connection, to a Worker or to a server that listens on ws:// or
wss://. It sends the client's address and TLS in a header that it signs with --front-secret. TLS ends at
the front, STARTTLS included. Set the secret by ${variableOf('frontSecret')}, because other users can see flags.

Examples:
  postern front --listen 'smtp://*:25' --to wss://mail.example.workers.dev/pipe --tls-key key.pem --tls-cert cert.pem
  postern serve --listen ws://127.0.0.1:8025/pipe
  postern front --self-signed --to ws://127.0.0.1:8025/pipe

Signals: after SIGINT or SIGTERM the front stops when no connection is left, at the latest after
--grace-ms. A second one stops it at once. After SIGHUP it reads the TLS files again.
`,
  send: `
The message is a file or standard input with a whole message, or it is made from --subject, --text, --html and --attach.
A whole message goes to --to, or to the addresses of its To, Cc and Bcc.

Examples:
  postern send --to you@example.com --subject Hello --text 'Hello!' --attach report.pdf
  postern send message.eml --submit-to smtp+starttls://mx.example.com --user ann@example.com
  ${variableOf('submitTo')}=smtps://ann:secret@mx.example.com postern send --to you@example.com < message.eml

Exit codes are those of sysexits(3): 0 sent, 64 wrong use, 65 the server lacks what the message needs, 66 no such file,
67 a recipient was refused, 68 no such host, 69 refused, 75 try again later, 76 the server is wrong, 77 no login.
`,
  sendmail: `
Reads a message from standard input. The server comes from submitTo in the config file of the working directory, or from
${variableOf('submitTo')}. Programs that call sendmail need a script in its place:
  #!/bin/sh
  exec postern sendmail "$@"

Flags: -t takes the recipients from To, Cc and Bcc, and removes Bcc. -i, -oi: a line with a dot does not end the message.
-f ADDRESS sender, -F NAME full name, -N never|success,failure,delay, -R full|hdrs, -V id, -bs SMTP on standard input,
-v shows the session. Other flags of sendmail are accepted and change nothing.
`,
  list: `
Examples:
  postern list --limit 10
  postern list --json | jq -r '.records[].id'
  postern list --to @example.com --since 2h
  postern list --follow
`,
  watch: `
The command is one for /bin/sh. It gets the message on standard input, and these variables: MAIL_ID, MAIL_FROM, MAIL_TO
(one address a line, at most 100), MAIL_TO_COUNT, MAIL_RECEIVED_AT, MAIL_SIZE, MAIL_SHA256, MAIL_CLIENT and MAIL_USER.
Strangers choose their values: put them in double quotes, and never into eval.

Examples:
  postern watch
  postern watch --to @example.com --exec 'notify-send "Mail from $MAIL_FROM"'
  postern watch --json | jq -r .record.id

After SIGINT or SIGTERM it waits for the command that runs, and ends with exit code 0.
`,
  show: `
Examples:
  postern show 01JD2V5W3Q8XJ4T6Y9Z0A1B2C3
  postern show --raw 01JD2V5W3Q8XJ4T6Y9Z0A1B2C3 > message.eml
`,
  release: `
Look at it first: postern list --store fs:./quarantine

Examples:
  postern release --quarantine fs:./quarantine 01JD2V5W3Q8XJ4T6Y9Z0A1B2C3
`,
  attachments: `
The names and types are those that the sender of the message chose. Look at what you open.

Examples:
  postern attachments 01JD2V5W3Q8XJ4T6Y9Z0A1B2C3
  postern attachments 01JD2V5W3Q8XJ4T6Y9Z0A1B2C3 2 > report.pdf
  postern attachments 01JD2V5W3Q8XJ4T6Y9Z0A1B2C3 --store s3://bucket/mail --link 1h
`,
  export: `
Formats:
  mbox      one file (mboxrd: lines that begin with From are quoted)
  maildir   a Maildir, for mutt or Dovecot; needs --output
  jsonl     one JSON object a line: the record, and the message as text, or as base64 if it is not UTF-8

Examples:
  postern export --format mbox --output mail.mbox
  postern export --format maildir --output ~/Maildir ID ID
  postern export --format jsonl | jq -r .message
`,
  delete: `
Examples:
  postern delete 01JD2V5W3Q8XJ4T6Y9Z0A1B2C3
  postern delete --all --store fs:./mail --yes
`,
  sweep: `
A server does the same by itself: it removes leftovers at start and daily, and applies the retention limits at start and
hourly. Sweeping is safe while servers run. Only the age tells a leftover from a message that is arriving. So --older-than
must be at least twice the sum of --session-timeout-ms and --hook-timeout-ms. Give both the values that the servers use.

Examples:
  postern sweep
  postern sweep --keep-age-ms 30d --keep-bytes 10GB
  ${variableOf('keepCount')}=1000 postern sweep --json
`,
  hash: `
Asks for the password twice, or reads it from standard input.

Examples:
  postern hash
  postern serve --listen submission://127.0.0.1:5587 --self-signed --users "ann:$(postern hash)"
`,
  user: `
Asks for the password twice, or reads it from standard input. Servers read the file again when it changes.

Examples:
  postern user add jane@example.com
  postern user passwd jane@example.com < password.txt
  postern user suspend jane@example.com
  postern user list --json
`,
  alias: `
Examples:
  postern alias add sales@example.com jane@example.com bob@example.com
  postern alias remove sales@example.com bob@example.com
  postern alias remove sales@example.com
`,
  domain: `
Examples:
  postern domain add example.com --catch-all jane@example.com
  postern domain add '*.example.org'
  postern domain list
`,
  rule: `
add gives the address or domain more actions, and remove without actions removes its rule. The secret of a new webhook is printed once.

Examples:
  postern rule add sales@example.com forward=jane@example.org forward=bob@example.net
  postern rule add jane@example.com keep forward=jane@example.org
  postern rule add old@example.com refuse='550 5.1.6 This address has moved'
  postern rule remove sales@example.com forward=bob@example.net
  postern rule list
`,
  dkim: `
keygen prints the records for the zone file, and writes each key to DOMAIN.SELECTOR.pem. check ends with exit code 2 if a record
has a fault, and with 1 if no DNS server answers.

Examples:
  postern dkim keygen example.com >> example.com.zone
  postern dkim keygen example.com --type rsa --selector mail --signs-from 3d
  postern dkim check
  postern dkim check example.com --resolver udp://192.0.2.1 --json
`,
  queue: `
retry makes the next attempt now. hold keeps messages that are in the queue until release. delete also removes the message
itself: nobody gets it, and nobody gets a report. An attempt that is on its way goes on. The server need not run. If it
runs, it notices a change within a second.

Examples:
  postern queue list --destination example.net
  postern queue show ID
  postern queue retry --all
  postern queue hold --destination example.net
  postern queue delete ID ID
  postern queue list --json | jq -r '.entries[].id'
`,
  completion: `
Examples:
  source <(postern completion bash)                 in ~/.bashrc
  source <(postern completion zsh)                  in ~/.zshrc, below compinit
  postern completion fish | source                  in ~/.config/fish/config.fish
`,
}
