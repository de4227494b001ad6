/**
 * The ways in which containers, compose files, clusters, systemd and people start the program. Each gives a running
 * server, or one correct line on standard error.
 */
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect } from 'vitest'
import { NAMESPACES, type Need, OTHER_USER, PYTHON_FILTER } from '../../../test/kit/abilities.ts'
import { testWith } from '../../../test/kit/need.ts'
import { pathOf } from '../../../test/kit/tool.ts'
import { sample } from '../../../test/kit/sample.ts'
import { freePort } from '../../../test/kit/port.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { Daemon } from '../../../test/kit/daemon.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { cleanEnvironment, MAIN } from '../../../test/kit/postern.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'

type RuntimeName = keyof typeof RUNTIMES

interface Row {
  readonly way: string
  /** A shell's script; `"$@"` is the program with its arguments. Default: `exec "$@"`. */
  readonly shell?: string
  /** The arguments behind `serve`. Default: a free port of 127.0.0.1 and a store in memory. PORT is a free one. */
  readonly args?: readonly string[]
  /** Replaces the environment of the tests. */
  readonly env?: Readonly<Record<string, string>>
  /** The line, without its `postern: `. Default: it serves. */
  readonly line?: RegExp
  /** The runtimes on which the result may differ. Default: only Node. */
  readonly on?: readonly RuntimeName[]
  /** The ability that the machine must have. */
  readonly needs?: Need
}

const ALL = RUNTIME_NAMES
const LISTEN = ['--listen', 'smtp://127.0.0.1:PORT'] as const
const MEMORY = ['--store', 'memory:'] as const
const NOBODY = 'exec setpriv --reuid 12345 --regid 12345 --clear-groups'
/** Answers EAFNOSUPPORT to every socket of IPv6, as a kernel that was booted with ipv6.disable=1 does (x86-64). */
const WITHOUT_IPV6 = `import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def op(code, yes, no, k): return struct.pack('HBBI', code, yes, no, k)
program = b''.join([op(0x20, 0, 0, 0), op(0x15, 0, 3, 41), op(0x20, 0, 0, 16), op(0x15, 0, 1, 10), op(6, 0, 0, 0x50000 | 97), op(6, 0, 0, 0x7fff0000)])
buffer = ctypes.create_string_buffer(program)
class Filter(ctypes.Structure): _fields_ = [('length', ctypes.c_ushort), ('filter', ctypes.c_void_p)]
given = Filter(6, ctypes.addressof(buffer))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(given), 0, 0) == 0
os.execvp(sys.argv[1], sys.argv[1:])`

const ROWS: readonly Row[] = [
  { way: 'with an empty environment', env: {} },
  { way: 'without HOME', shell: 'unset HOME; exec "$@"', on: ALL },
  { way: 'with a HOME that nobody can write to', shell: 'HOME=/proc exec "$@"', on: ALL },
  {
    way: 'with an unknown time zone and locale',
    shell: 'TZ=No/Where LANG=xx_YY.Z LC_ALL=zz exec "$@"',
    on: ALL,
  },
  { way: 'with NODE_OPTIONS', shell: 'NODE_OPTIONS=--max-old-space-size=200 exec "$@"' },
  { way: 'without a PATH', shell: 'PATH= exec "$@"' },
  { way: 'as a user without a name', shell: `${NOBODY} "$@"`, needs: OTHER_USER },
  { way: 'with standard input closed', shell: 'exec "$@" <&-', on: ALL },
  { way: 'with standard output closed', shell: 'exec "$@" >&-', on: ALL },
  { way: 'with standard output full', shell: 'exec "$@" >/dev/full', on: ALL },
  { way: 'with standard error closed', shell: 'exec "$@" 2>&-', on: ALL },
  { way: 'with standard error full', shell: 'exec "$@" 2>/dev/full', on: ALL },
  { way: 'with nothing open', shell: 'exec "$@" <&- >&- 2>&-', on: ALL },
  {
    way: 'in a directory that was removed',
    shell: 'mkdir gone; cd gone; rmdir ../gone; exec "$@" 2>&1 | grep -v getcwd >&2; exit 2',
    line: /^the working directory does not exist any more; start in another one$/,
    // Deno ends before it runs our code.
    on: ['node', 'bun'],
  },
  { way: 'in a directory that it cannot read', shell: `cd locked; ${NOBODY} "$@"`, needs: OTHER_USER },
  {
    way: 'in a directory that it cannot write to, with the default store',
    shell: `cd fixed; ${NOBODY} "$@"`,
    args: LISTEN,
    line: /^--store fs:\.\/mail: can't keep mail in \S+: no permission to do so; give a writable directory$/,
    needs: OTHER_USER,
  },
  {
    way: 'on a file system that is read-only except for the store',
    shell: 'mkdir own; unshare -m sh -c \'mount --bind own own && mount -o remount,bind,ro / && exec "$@"\' sh "$@"',
    args: [...LISTEN, '--store', 'fs:./own/mail'],
    needs: NAMESPACES,
  },
  { way: 'without /proc', shell: 'unshare -m sh -c \'umount -l /proc; exec "$@"\' sh "$@"', needs: NAMESPACES },
  { way: 'as process 1', shell: 'exec unshare --pid --fork --kill-child "$@"', on: ALL, needs: NAMESPACES },
  ...['a_b', '', 'x'.repeat(64), 'häst'].map((name): Row => ({
    way: `on a host that is called ${JSON.stringify(name)}`,
    shell: `exec unshare -u sh -c 'printf "${name}\\n" > /proc/sys/kernel/hostname; exec "$@"' sh "$@"`,
    needs: NAMESPACES,
  })),
  { way: 'with umask 077', shell: 'umask 077; exec "$@"', args: [...LISTEN, '--store', 'fs:./mail'] },
  {
    way: 'with umask 777',
    shell: 'umask 777; exec "$@"',
    args: [...LISTEN, '--store', 'fs:./made/mail'],
    line: /^--store fs:\S+: can't make \S+: the umask takes permissions from the owner; set it to 077; /,
  },
  {
    way: 'with variables that compose made empty',
    env: { ...cleanEnvironment(), POSTERN_TLS_KEY: '', POSTERN_TLS_CERT: '', POSTERN_CONFIG: '', POSTERN_DEBUG: ' ' },
  },
  {
    way: 'with the variables of Kubernetes services called postern and postern-smtp',
    env: {
      ...cleanEnvironment(),
      POSTERN_PORT: 'tcp://10.0.0.1:25',
      POSTERN_SERVICE_HOST: '10.0.0.1',
      POSTERN_SERVICE_PORT: '25',
      POSTERN_SERVICE_PORT_SMTP: '25',
      POSTERN_PORT_25_TCP: 'tcp://10.0.0.1:25',
      POSTERN_PORT_25_TCP_ADDR: '10.0.0.1',
      POSTERN_SMTP_SERVICE_HOST: '10.0.0.2',
      POSTERN_SMTP_PORT: 'tcp://10.0.0.2:25',
      POSTERN_SMTP_PORT_25_TCP_PROTO: 'tcp',
    },
  },
  {
    way: 'with POSTERN_PORT, which is not an option',
    env: { ...cleanEnvironment(), POSTERN_PORT: '2525' },
    line: /^POSTERN_PORT: there is no such option/,
  },
  { way: 'with the sockets of systemd', env: { ...cleanEnvironment(), LISTEN_FDS: '1', LISTEN_PID: '1' } },
  {
    way: 'on a port for root',
    shell: `sysctl -qw net.ipv4.ip_unprivileged_port_start=1024; ${NOBODY} "$@"`,
    args: ['--listen', 'smtp://127.0.0.1:25', ...MEMORY],
    line: /^--listen \S+: this user may not listen there; ports below 1024 are for root$/,
    needs: OTHER_USER,
  },
  {
    way: 'on a port that is in use',
    args: ['--listen', 'smtp://127.0.0.1:TAKEN', ...MEMORY],
    line: /^--listen \S+: the address is in use; /,
    on: ALL,
  },
  {
    way: 'on an address of another machine',
    args: ['--listen', 'smtp://192.0.2.1:2525', ...MEMORY],
    line: /^--listen \S+: this machine has no such address; /,
    on: ALL,
  },
  {
    way: 'on a socket in a directory that is missing',
    args: ['--listen', 'smtp+unix:/no/where/socket', ...MEMORY],
    line: /^--listen \S+: its directory does not exist; create it first$/,
    on: ALL,
  },
  {
    way: 'on a socket where a file is',
    args: ['--listen', 'smtp+unix:./file', ...MEMORY],
    line: /^--listen \S+: there is a file that is not a socket; give another path$/,
    on: ALL,
  },
  {
    way: 'on a socket whose path is too long',
    args: ['--listen', `smtp+unix:/tmp/${'x'.repeat(200)}`, ...MEMORY],
    line: /^--listen \S+: the path has 205 bytes; the path of a Unix socket has at most 107$/,
    on: ALL,
  },
  ...ALL.flatMap((runtime): Row[] => [
    {
      way: 'on every address where the kernel has no IPv6',
      shell: `exec python3 -c "${WITHOUT_IPV6}" "$@"`,
      args: ['--listen', 'smtp://*:PORT', ...MEMORY],
      on: [runtime],
      needs: PYTHON_FILTER,
    },
    {
      way: 'on ::1 where the kernel has no IPv6',
      shell: `exec python3 -c "${WITHOUT_IPV6}" "$@"`,
      args: ['--listen', 'smtp://[::1]:PORT', ...MEMORY],
      line:
        runtime === 'bun'
          ? /^--listen \S+: listen failed at /
          : /^--listen \S+: this machine has no addresses of that family; /,
      on: [runtime],
      needs: PYTHON_FILTER,
    },
  ]),
  {
    way: 'with a store that is a file',
    args: [...LISTEN, '--store', 'fs:./file'],
    line: /^--store \S+: can't keep mail in \S+: it, or a part of its path, is not a directory; /,
  },
  {
    way: 'with a store that cannot be created',
    args: [...LISTEN, '--store', 'fs:/dev/null/mail'],
    line: /^--store \S+: can't keep mail in \S+: it, or a part of its path, is not a directory; /,
  },
  { way: 'with a store that is a symbolic link', args: [...LISTEN, '--store', 'fs:./link'] },
  {
    way: 'with a store that is a link to nothing',
    args: [...LISTEN, '--store', 'fs:./dangling/mail'],
    line: /^--store \S+: can't keep mail in \S+: there is no such directory; /,
  },
  {
    way: 'with a store on a disk that is full',
    shell:
      'mkdir full; exec unshare -m sh -c \'mount -t tmpfs -o size=4k none full; dd if=/dev/zero of=full/x bs=4k count=1 2>/dev/null; exec "$@"\' sh "$@"',
    args: [...LISTEN, '--store', 'fs:./full/mail'],
    needs: NAMESPACES,
  },
  {
    way: 'with a config file that is missing',
    args: [...LISTEN, '--config', 'nowhere.ts'],
    line: /^--config nowhere\.ts: there is no such file$/,
  },
  {
    way: 'with a config file that is a directory',
    args: [...LISTEN, '--config', 'fixed'],
    line: /^--config fixed: it is not a regular file; name a config file$/,
    on: ALL,
  },
  {
    way: 'with a config file that is empty',
    args: [...LISTEN, '--config', 'empty.ts'],
    line: /^empty\.ts: the file is empty; write: export default /,
    on: ALL,
  },
  {
    way: 'with a config file that it cannot read',
    shell: `${NOBODY} "$@"`,
    args: [...LISTEN, '--config', 'private.ts'],
    line: /^--config private\.ts: this user may not read it$/,
    needs: OTHER_USER,
  },
  { way: 'with a config file from Windows', args: [...LISTEN, ...MEMORY, '--config', 'windows.ts'], on: ALL },
]

/** Makes a directory with the files that the rows name. */
function directory(): string {
  const cwd = temporaryDirectory()
  for (const name of ['fixed', 'locked', 'real']) mkdirSync(join(cwd, name))
  writeFileSync(join(cwd, 'file'), '')
  writeFileSync(join(cwd, 'empty.ts'), '')
  writeFileSync(join(cwd, 'private.ts'), 'export default {}')
  writeFileSync(join(cwd, 'windows.ts'), "\uFEFF// Settings\r\nexport default { banner: 'Windows' }\r\n")
  symlinkSync('real', join(cwd, 'link'))
  symlinkSync('nothing', join(cwd, 'dangling'))
  chmodSync(cwd, 0o755)
  chmodSync(join(cwd, '..'), 0o755)
  chmodSync(join(cwd, 'fixed'), 0o555)
  chmodSync(join(cwd, 'locked'), 0o711)
  chmodSync(join(cwd, 'private.ts'), 0o600)
  return cwd
}

const taken = createServer().listen(0, '127.0.0.1')
await once(taken, 'listening')
afterAll(() => void taken.close())

function portOf(server: ReturnType<typeof createServer>): string {
  return String((server.address() as { port: number }).port)
}

/** Tries to connect until a server sends a greeting, or until `isOver`. */
async function greeting(port: number, isOver: () => boolean): Promise<string> {
  while (!isOver()) {
    try {
      using client = await SocketClient.connect(port)
      return (await client.reply()).text
    } catch {
      await sleep(20)
    }
  }
  return ''
}

/**
 * Returns the process that a signal is for. In its own namespace, it is the child of the process that made the
 * namespace.
 */
function programOf({ pid }: Daemon): number {
  const child = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  const name = readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  return ['unshare', 'sh'].includes(name) && child !== '' ? Number(child.split(' ')[0]) : pid
}

for (const {
  way,
  shell = 'exec "$@"',
  args = [...LISTEN, ...MEMORY],
  env,
  line,
  on = ['node'] as const,
  needs,
} of sample(ROWS, 8)) {
  for (const runtime of sample(on, 1, way.length)) {
    const what = line === undefined ? 'it serves' : 'it says in one line why it does not serve'
    const run = async (): Promise<void> => {
      const [file, ...before] = RUNTIMES[runtime]
      const port = await freePort()
      const given = args.map((word) => word.replace('PORT', String(port)).replace('TAKEN', portOf(taken)))
      const program = pathOf(file)
      const child = new Daemon(['/bin/sh', '-c', shell, 'sh', program ?? file, ...before, MAIN, 'serve', ...given], {
        cwd: directory(),
        env: env ?? cleanEnvironment(),
      })
      const text = await greeting(port, () => !child.isRunning)
      if (line !== undefined) {
        expect(await child.ended, child.stderr).toBe(2)
        expect(child.stderr).toMatch(/^postern: [^\n]*\n$/)
        expect(child.stderr.slice('postern: '.length, -1)).toMatch(line)
        return
      }
      expect(text, child.stderr).toMatch(/^220 [!-~]+ ESMTP /)
      process.kill(programOf(child), 'SIGTERM')
      expect(await child.ended, child.stderr).toBe(0)
      expect(child.stderr).not.toMatch(/^\s+at /m)
    }
    const options = { timeout: 120_000, concurrent: true }
    testWith(needs === undefined ? [] : [needs], `${way}, ${what} on ${runtime}`, run, options)
  }
}
