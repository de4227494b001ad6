/**
 * Checks that the server of this machine accepts connections, for a container's HEALTHCHECK. Exit code 0 means yes; 1 comes with a line
 * on stderr.
 *
 * It connects to the first address of `POSTERN_LISTEN` and waits for the greeting, which a server that hangs does not send. If the
 * address begins with TLS, or is for fronts, a connection is enough.
 */
import { connect } from 'node:net'
import process from 'node:process'
import { parseListenUrl } from './src/config/urls/listen-url.ts'

const TIMEOUT_MS = 5_000
/** A PROXY header without an address, for a server that needs a header from everybody. */
const PROXY_HEADER = 'PROXY UNKNOWN\r\n'

const [, first = 'smtp://127.0.0.1:2525'] = /(\S+)/.exec(process.env['POSTERN_LISTEN'] ?? '') ?? []
const address = parseListenUrl(first)

if (address === undefined) end(1, `POSTERN_LISTEN: ${first} is not a listen URL`)
else {
  const { host, port, path, pipePath, implicitTls } = address
  const isEveryAddress = host === undefined || host === '0.0.0.0'
  const socket = path === undefined ? connect(port, isEveryAddress ? '127.0.0.1' : host) : connect(path)
  socket.setTimeout(TIMEOUT_MS, () => end(1, `${first}: no greeting within ${TIMEOUT_MS} ms`))
  socket.on('error', (error) => end(1, `${first}: ${error.message}`))
  socket.on('close', () => end(1, `${first}: closed without a greeting`))
  socket.on('connect', () => {
    // On these addresses the client must send first.
    if (implicitTls || pipePath !== undefined) end(0)
    else if (/(^|\s)all(\s|$)/.test(process.env['POSTERN_PROXY_FROM'] ?? '')) socket.write(PROXY_HEADER)
  })
  socket.on('data', (greeting) =>
    end(greeting.toString('latin1').startsWith('220') ? 0 : 1, greeting.toString('latin1')),
  )
}

function end(code: 0 | 1, why = ''): void {
  if (code !== 0) process.stderr.write(`${why.trim()}\n`)
  process.exit(code)
}
