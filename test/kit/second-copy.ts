/** A second copy of the engine in this program, as a config file beside an installed `postern` may load one. */
import { cp } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { temporaryDirectory } from './directory.ts'

type Engine = typeof import('@postern/engine')

const folder = temporaryDirectory()
let copy: Promise<Engine> | undefined

/** Copies the engine's sources and loads them from there. */
export function secondCopy(): Promise<Engine> {
  return (copy ??= load())
}

/** Copies the engine's sources into a folder. @returns the path of its index */
export async function copyEngine(folder: string): Promise<string> {
  const sources = dirname(fileURLToPath(import.meta.resolve('@postern/engine')))
  await cp(sources, join(folder, 'engine'), { recursive: true })
  return join(folder, 'engine/index.ts')
}

async function load(): Promise<Engine> {
  const index = await copyEngine(folder)
  return (await import(/* @vite-ignore */ pathToFileURL(index).href)) as Engine
}
