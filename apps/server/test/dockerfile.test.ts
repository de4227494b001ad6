/** The steps of the Dockerfile make a server that takes mail, from the packages as they are published. */
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { kept, sendOne, start } from '../../../test/installed/running.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { findPnpm, runTool } from '../../../test/kit/tool.ts'
import { buildImage } from './image.ts'
import { cleanEnvironment } from '../../../test/kit/postern.ts'

const context = join(import.meta.dirname, '../../..')
const scratch = temporaryDirectory()

test(
  'the steps of the Dockerfile make a server that takes a message and is healthy',
  { timeout: 600_000 },
  async () => {
    const bin = join(scratch, 'bin')
    mkdirSync(bin)
    // The image installs it from the registry.
    symlinkSync(await findPnpm(), join(bin, 'pnpm'))
    const env = cleanEnvironment({ CI: '1' })
    env['PATH'] = `${bin}:${env['PATH']}`
    const dockerfile = readFileSync(join(context, 'apps/server/Dockerfile'), 'utf8')
      // The user and its home are the image's.
      .replace(' && chown node:node /var/lib/postern', '')
    const image = await buildImage({ context, dockerfile, scratch, env, given: /^npm install --global pnpm@/ })

    const server = join(image.root, 'app/apps/server')
    expect(existsSync(join(server, 'dist/main.js'))).toBe(true)
    expect(existsSync(join(server, 'test'))).toBe(false)
    const own = { ...env, ...image.env, POSTERN_LISTEN: 'smtp://127.0.0.1:0' }
    const [file = '', ...args] = [...image.entrypoint, ...image.command]
    await using running = await start([file, ...args], { cwd: image.root, env: own }, /smtp:\/\/127\.0\.0\.1:(\d+)/)
    const text = await sendOne(running.port)
    expect(await kept(join(image.root, 'var/lib/postern'))).toBe(text)
    const [checker = '', ...checked] = image.healthcheck
    const health = await runTool(checker, checked, {
      env: { ...own, POSTERN_LISTEN: `smtp://127.0.0.1:${running.port}` },
    })
    expect({ code: health.code, stderr: health.stderr }).toEqual({ code: 0, stderr: '' })
  },
)
