/**
 * Finds the sockets that systemd passes to the program: a `.socket` unit listens, and starts the program with the
 * sockets as descriptors from 3 on (sd_listen_fds(3)).
 */
import process from 'node:process'
import { Failure } from '../host/failure.ts'
import { variable } from '../host/permission.ts'
import { runtimeName } from '../host/runtime.ts'

/** The descriptor of the first socket. */
const FIRST_FD = 3

/** The variables of systemd about the sockets, and the process that reads them. */
export interface PassedSockets {
  /** `LISTEN_FDS`: how many there are. */
  readonly count: string | undefined
  /** `LISTEN_PID`: the process that they are for. */
  readonly pid: string | undefined
  /** `LISTEN_FDNAMES`: their names, with colons between them. */
  readonly names: string | undefined
  /** The id of this process. */
  readonly ownPid: number
}

/**
 * Returns the descriptor of a socket.
 * @param socket Its number or its name
 * @param place The option and the URL, for messages
 * @throws Failure if systemd has not passed it
 */
export function passedSocket(socket: string, place: string, passed: PassedSockets = readPassed()): number {
  if (runtimeName === 'deno') throw new Failure(`${place}: Deno can't use a socket of systemd; give smtp://HOST:PORT`)
  const count = Number(passed.count)
  if (passed.count === undefined || !Number.isSafeInteger(count) || count < 1) {
    throw new Failure(`${place}: systemd has passed no socket (LISTEN_FDS); start the server by a .socket unit`)
  }
  if (passed.pid !== String(passed.ownPid)) {
    throw new Failure(
      `${place}: the sockets are for process ${passed.pid ?? '(none)'} (LISTEN_PID), and this is ${passed.ownPid}; start the program itself, not by a shell or npx`,
    )
  }
  const names = passed.names?.split(':') ?? []
  const at = /^\d+$/.test(socket) ? Number(socket) - FIRST_FD : names.indexOf(socket)
  if (at >= 0 && at < count) return FIRST_FD + at
  const known = Array.from({ length: Math.min(count, 16) }, (_, i) =>
    [FIRST_FD + i, names[i]].filter((word) => word !== undefined && word !== '').join(' '),
  )
  throw new Failure(`${place}: systemd has passed no such socket; it has passed ${known.join(', ')}`)
}

function readPassed(): PassedSockets {
  return {
    count: variable('LISTEN_FDS'),
    pid: variable('LISTEN_PID'),
    names: variable('LISTEN_FDNAMES'),
    ownPid: process.pid,
  }
}
