import { memory } from './src/memory/index.ts'
import { keep } from './src/keep.ts'
import { keysOf } from './src/layout.ts'
import { Digest } from './src/digest.ts'
import { encodeRecord, factsOf, recordOf } from './src/record-json.ts'
import { idMaker } from '../engine/src/server/id.ts'
import { receivedField } from '../engine/src/server/trace.ts'
const id = idMaker()
const body = new Uint8Array(1024).fill(97)
const path = { address: 'a@example.com', localPart: 'a', domain: 'example.com', parameters: new Map() }
const envelope = { reversePath: path, forwardPaths: [path], body: '7BIT', smtpUtf8: false } as any
const session = {
  id: 'x',
  remote: { family: 'ipv4', address: '127.0.0.1', port: 3 },
  local: { family: 'ipv4', address: '127.0.0.1', port: 3 },
  hello: { verb: 'EHLO', name: 'client.example' },
  transmissionType: 'ESMTP',
} as any
const N = 20000
function msg() {
  let done = false
  const m = {
    id: id(Date.now()),
    envelope,
    receivedAt: new Date(),
    trace: receivedField(session, envelope, 'mx.example.com', 'x', new Date()),
    read() {
      if (done) return null
      done = true
      return body
    },
  }
  return m as any
}
async function time(name: string, f: (i: number) => unknown) {
  for (let r = 0; r < 4; r++) {
    const s = process.cpuUsage()
    for (let i = 0; i < N; i++) {
      const p = f(i)
      if (p instanceof Promise) await p
    }
    const e = process.cpuUsage(s)
    if (r === 3) console.log(name.padEnd(20), ((e.user + e.system) / N).toFixed(2), 'us')
  }
}
const m1 = msg()
await time('msg', () => msg())
await time('id', () => id(Date.now()))
await time('trace', () => receivedField(session, envelope, 'mx.example.com', 'x', new Date()))
await time('keysOf', () => keysOf(m1.id))
await time('facts', () => factsOf(session))
await time('digest', () => {
  const d = new Digest()
  d.update(m1.trace)
  d.update(body)
  return d.finish()
})
const c: any = await import('node:crypto')
const joined = new Uint8Array(1200)
await time('crypto.hash', () => {
  joined.set(m1.trace)
  joined.set(body, m1.trace.length)
  return c.hash?.('sha256', joined.subarray(0, 1024 + m1.trace.length), 'hex')
})
const sha = new Digest().finish()
await time('recordOf', () => recordOf(m1, factsOf(session), { size: 1, sha256: sha }))
const rec = recordOf(m1, factsOf(session), { size: 1, sha256: sha })
await time('encode', () => encodeRecord(rec))
await time('stringify2', () => JSON.stringify(rec, null, 2))
await time('stringify', () => JSON.stringify(rec))
const te = new TextEncoder(),
  t = JSON.stringify(rec, null, 2)
await time('TextEncoder', () => te.encode(t))
await time('checkKey', () => t && memory)
let store = memory({ maxBytes: 1e12 })
let k = keep(store)
await time('keep memory', (i) => {
  if (i === 0) {
    store = memory({ maxBytes: 1e12 })
    k = keep(store)
  }
  return k(msg(), session)
})
const fake = {
  write() {
    return { write() {}, async commit() {}, async abort() {} }
  },
} as any
const kf = keep(fake)
await time('keep nowhere', () => kf(msg(), session))
import { fs } from './src/fs/index.ts'
import { mkdtempSync, rmSync } from 'node:fs'
const d = mkdtempSync('/tmp/mbp-')
const kp = keep(await (fs as any)(d, { layout: 'packed' }))
async function timeMany(name: string, k: any) {
  for (let r = 0; r < 4; r++) {
    const s = process.cpuUsage()
    const w = performance.now()
    let left = N
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        while (left-- > 0) await k(msg(), session)
      }),
    )
    const e = process.cpuUsage(s)
    if (r === 3)
      console.log(
        name.padEnd(20),
        ((e.user + e.system) / N).toFixed(2),
        'us',
        (((performance.now() - w) * 1000) / N).toFixed(1),
        'us wall',
      )
  }
}
await timeMany('nowhere 100', kf)
store = memory({ maxBytes: 1e12 })
k = keep(store)
await timeMany('memory 100', k)
await timeMany('packed 100', kp)
rmSync(d, { recursive: true })
