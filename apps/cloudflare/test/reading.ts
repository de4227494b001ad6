/** Reads stored mail through the Worker's own route, and checks it against its record. */
import { checkedKept, type Kept } from '../../../test/peers/store.ts'

export const READ_TOKEN: string = 'read-0123456789abcdef0123456789abcdef'
export const FRONT_SECRET: string = 'front-0123456789abcdef0123456789abcdef'

const authorization = { authorization: `Bearer ${READ_TOKEN}` }

/** Reads a stored message. */
export async function readKept(http: number, id: string): Promise<Kept> {
  const [record, raw] = await Promise.all([get(http, `/mail/${id}`), get(http, `/mail/${id}/raw`)])
  return checkedKept(id, await record.text(), Buffer.from(await raw.arrayBuffer()))
}

/** Asks for an attachment that is kept apart. */
export function readAttachment(http: number, id: string, section: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${http}/mail/${id}/attachments/${section}`, { headers: authorization })
}

/** Returns the ids of all stored messages, newest first. */
export async function keptIds(http: number): Promise<string[]> {
  const ids: string[] = []
  for (let query = '?limit=500'; query !== '';) {
    const answer = await get(http, `/mail${query}`)
    const { records, cursor } = (await answer.json()) as { records: { id: string }[]; cursor?: string }
    ids.push(...records.map(({ id }) => id))
    query = cursor === undefined ? '' : `?limit=500&cursor=${cursor}`
  }
  return ids
}

async function get(http: number, path: string): Promise<Response> {
  const response = await fetch(`http://127.0.0.1:${http}${path}`, { headers: authorization })
  if (!response.ok) throw new Error(`${path}: ${response.status}`)
  return response
}
