/**
 * A DNS server whose answers are in a script: over UDP and TCP on one port, and over HTTP (RFC 8484). The first label of a
 * name, or the first that is no `_…`, chooses a scene; the second label is the query's own, so that no two checks share a name.
 */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import packet, { type Answer } from 'dns-packet'

/** How a query came. */
export type Carrier = 'udp' | 'tcp' | 'http'

export interface Query {
  readonly id: number
  readonly carrier: Carrier
  /** With the letter case of the query. */
  readonly name: string
  /** In lower case. */
  readonly key: string
  readonly type: string
  /** How often this name and type have come by this carrier, this query included. */
  readonly count: number
  readonly payloadBytes: number
  readonly flags: readonly string[]
}

/** The answer to a query; undefined for none. */
export interface Scene {
  readonly rcode?: number
  readonly answers?: readonly Answer[]
  readonly authorities?: readonly Answer[]
  /** Header flags that are set besides RD and RA. */
  readonly flags?: number
  /** RA is not set. */
  readonly isNotRecursive?: boolean
  /** Replaces the question's name. */
  readonly question?: string
  /** The encoded answer, changed before it is sent. */
  readonly change?: (bytes: Buffer) => Buffer
  /** Datagrams that come before the answer, from the server's port or from another. */
  readonly before?: readonly { readonly bytes: Buffer; readonly isFromOther?: boolean }[]
  /** Over TCP and HTTP: a byte at a time; bytes without end; closed at once; without ever answering. */
  readonly manner?: 'slow' | 'endless' | 'close' | 'silent'
  /** Over HTTP. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
}

export type Script = (query: Query) => Scene | undefined

export interface DnsServer extends AsyncDisposable {
  readonly port: number
  /** `http://127.0.0.1:PORT/dns-query`. */
  readonly url: string
  /** All queries, in their order. */
  readonly queries: readonly Query[]
}

/** Where it serves. */
export interface DnsPlace {
  readonly host?: string
  /** Default: a free one. */
  readonly port?: number
}

/** Encodes the answer to a query. @param id Default: the query's own */
export function encodeScene(query: Query, scene: Scene, id: number = query.id): Buffer {
  const recursion = packet.RECURSION_DESIRED | (scene.isNotRecursive === true ? 0 : packet.RECURSION_AVAILABLE)
  const bytes = packet.encode({
    type: 'response',
    id,
    flags: recursion | (scene.flags ?? 0) | (scene.rcode ?? 0),
    questions: [{ type: query.type as 'A', name: scene.question ?? query.name }],
    answers: [...(scene.answers ?? [])],
    authorities: [...(scene.authorities ?? [])],
  })
  return scene.change?.(bytes) ?? bytes
}

export async function startDnsServer(
  script: Script,
  { host = '127.0.0.1', port: wanted = 0 }: DnsPlace = {},
): Promise<DnsServer> {
  const queries: Query[] = []
  const counts = new Map<string, number>()
  const sockets = new Set<Socket>()

  function read(bytes: Buffer, carrier: Carrier): Query {
    const decoded = packet.decode(bytes) as packet.DecodedPacket
    const [{ name, type }] = decoded.questions as [packet.Question]
    const edns = decoded.additionals?.find((record) => record.type === 'OPT')
    const key = name.toLowerCase()
    const counted = `${carrier} ${type} ${key}`
    counts.set(counted, (counts.get(counted) ?? 0) + 1)
    const query: Query = {
      id: decoded.id ?? 0,
      carrier,
      name,
      key,
      type,
      count: counts.get(counted) ?? 0,
      payloadBytes: edns?.type === 'OPT' ? edns.udpPayloadSize : 0,
      flags: [
        ...(decoded.flag_rd ? ['RD'] : []),
        ...(decoded.flag_ad ? ['AD'] : []),
        ...(edns?.type === 'OPT' && edns.flag_do ? ['DO'] : []),
      ],
    }
    queries.push(query)
    return query
  }

  const udp = createSocket('udp4')
  const other = createSocket('udp4')
  udp.on('message', (bytes, from) => {
    const query = read(bytes, 'udp')
    const scene = script(query)
    if (scene !== undefined) answerDatagram({ udp, other }, from, query, scene)
  })
  const tcp = createTcpServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => {})
    let received = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 2 || received.length < 2 + received.readUInt16BE()) return
      const query = read(received.subarray(2, 2 + received.readUInt16BE()), 'tcp')
      received = Buffer.alloc(0)
      void answerStream(socket, query, script(query))
    })
  })
  const http = createHttpServer((request, response) => {
    void answerHttp(request, response, (bytes) => {
      const query = read(bytes, 'http')
      return { query, scene: script(query) }
    })
  })
  http.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => {})
  })
  const listening = Promise.withResolvers<void>()
  tcp.listen(wanted, host, listening.resolve)
  await listening.promise
  const { port } = tcp.address() as AddressInfo
  await bind(udp, port, host)
  await bind(other, 0, host)
  const serving = Promise.withResolvers<void>()
  http.listen(0, host, serving.resolve)
  await serving.promise
  return {
    port,
    url: `http://${host}:${(http.address() as AddressInfo).port}/dns-query`,
    queries,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      udp.close()
      other.close()
      await Promise.all([
        new Promise((closed) => tcp.close(closed)),
        new Promise((closed) => {
          http.close(closed)
          http.closeAllConnections()
        }),
      ])
    },
  }
}

function bind(socket: UdpSocket, port: number, host: string): Promise<void> {
  return new Promise((bound, failed) => {
    socket.once('error', failed).bind(port, host, bound)
  })
}

function answerDatagram(
  { udp, other }: { readonly udp: UdpSocket; readonly other: UdpSocket },
  { port, address }: RemoteInfo,
  query: Query,
  scene: Scene,
): void {
  for (const { bytes, isFromOther = false } of scene.before ?? [])
    (isFromOther ? other : udp).send(bytes, port, address)
  if (scene.manner !== 'silent') udp.send(encodeScene(query, scene), port, address)
}

async function answerStream(socket: Socket, query: Query, scene: Scene | undefined): Promise<void> {
  if (scene === undefined || scene.manner === 'silent') return
  if (scene.manner === 'close') return void socket.destroy()
  const bytes = encodeScene(query, scene)
  const framed = Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes])
  if (scene.manner === 'slow') return writeSlowly(framed, (piece) => socket.write(piece))
  if (scene.manner === 'endless') return writeForever(socket)
  socket.write(framed)
}

async function answerHttp(
  request: IncomingMessage,
  response: ServerResponse,
  open: (bytes: Buffer) => { readonly query: Query; readonly scene: Scene | undefined },
): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const { query, scene } = open(Buffer.concat(chunks))
  if (scene === undefined || scene.manner === 'silent') return
  if (scene.manner === 'close') return void response.destroy()
  response.writeHead(scene.status ?? 200, { 'content-type': 'application/dns-message', ...scene.headers })
  if (scene.manner === 'slow') {
    await writeSlowly(encodeScene(query, scene), (piece) => response.write(piece))
    response.end()
  } else if (scene.manner === 'endless') writeForever(response)
  else response.end(encodeScene(query, scene))
}

async function writeSlowly(bytes: Buffer, write: (piece: Buffer) => void): Promise<void> {
  for (const byte of bytes) {
    write(Buffer.from([byte]))
    await new Promise((next) => {
      setImmediate(next)
    })
  }
}

/** Writes until the other end goes away. The first two octets are a length that is never reached. */
function writeForever(stream: Socket | ServerResponse): void {
  const piece = Buffer.alloc(16_384, 0xff)
  const more = (): void => {
    while (!stream.destroyed && stream.writable) {
      if (!stream.write(piece)) return void stream.once('drain', more)
    }
  }
  more()
}
