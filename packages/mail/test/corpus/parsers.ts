/** Other parsers, each made to say what it finds in the leaves of a message. */
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { type MimeNode, Splitter } from '@zone-eu/mailsplit'
import { simpleParser } from 'mailparser'
import PostalMime from 'postal-mime'
import type { MimeLimits } from '../../src/index.ts'
import { parts } from '../../src/index.ts'

export interface Leaf {
  readonly name: string | undefined
  readonly body: Uint8Array
}

export interface Found {
  readonly leaves: readonly Leaf[]
  /** What a parser joins of all texts, instead of leaves. */
  readonly texts: readonly string[]
}

export interface OurLeaf extends Leaf {
  readonly section: string
  /** Undefined for a leaf that is no text. */
  readonly text: string | undefined
}

export interface OurFindings {
  readonly sections: readonly string[]
  readonly leaves: readonly OurLeaf[]
  readonly defects: readonly string[]
}

export type ParserName = 'mailparser' | 'mailsplit' | 'postal-mime'

export const PARSERS: Readonly<Record<ParserName, (message: Uint8Array) => Promise<Found>>> = {
  mailparser: byMailparser,
  mailsplit: byMailsplit,
  'postal-mime': byPostalMime,
}

export async function byUs(message: Uint8Array, limits: Partial<MimeLimits> = {}): Promise<OurFindings> {
  const texts = new Map<string, string>()
  for await (const part of parts(message, { limits })) {
    if (part.type.startsWith('text/') && !part.isMultipart) texts.set(part.section, await part.text())
  }
  const leaves: OurLeaf[] = []
  const all = []
  for await (const part of parts(message, { limits })) {
    all.push(part)
    if (part.isMultipart || part.isMessage) continue
    const { section, fileName: name } = part
    leaves.push({ section, name, body: await part.bytes(), text: texts.get(section) })
  }
  return {
    sections: all.map(({ section }) => section),
    leaves,
    defects: all.flatMap(({ defects }) => defects.map(({ code }) => code)),
  }
}

async function byMailparser(message: Uint8Array): Promise<Found> {
  const options = { skipHtmlToText: true, skipTextToHtml: true, skipImageLinks: true, skipTextLinks: true }
  const { attachments, text, html } = await simpleParser(Buffer.from(message), options)
  return {
    leaves: attachments.map(({ filename, content }) => ({ name: filename, body: content })),
    texts: [text, html].filter((one): one is string => typeof one === 'string'),
  }
}

async function byPostalMime(message: Uint8Array): Promise<Found> {
  const { attachments, text, html } = await PostalMime.parse(message)
  return {
    leaves: attachments.map(({ filename, content }) => ({
      name: filename ?? undefined,
      body: typeof content === 'string' ? Buffer.from(content) : new Uint8Array(content as ArrayBuffer),
    })),
    texts: [text, html].filter((one): one is string => one !== undefined),
  }
}

async function byMailsplit(message: Uint8Array): Promise<Found> {
  const splitter = new Splitter()
  const nodes: { readonly node: MimeNode; readonly raw: Buffer[] }[] = []
  splitter.on('data', (data: { readonly type: string; readonly value?: Buffer }) => {
    if (data.type === 'node') nodes.push({ node: data as unknown as MimeNode, raw: [] })
    else if (data.type === 'body' && data.value !== undefined) nodes.at(-1)?.raw.push(data.value)
  })
  Readable.from([Buffer.from(message)]).pipe(splitter)
  await finished(splitter)
  const leaves = nodes.filter(({ node }) => node.multipart === false && !(node.rfc822 && node.messageNode === true))
  return {
    leaves: await Promise.all(
      leaves.map(async ({ node, raw }) => ({
        name: node.filename === false ? undefined : node.filename,
        body: await decoded(node, Buffer.concat(raw)),
      })),
    ),
    texts: [],
  }
}

async function decoded(node: MimeNode, raw: Buffer): Promise<Uint8Array> {
  const decoder = node.getDecoder()
  decoder.end(raw)
  return Buffer.concat(await decoder.toArray())
}
