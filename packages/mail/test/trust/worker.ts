/** Verifies the messages of a job in workerd. */
import { type Job, run } from './job.ts'

export default {
  async fetch(request: Request): Promise<Response> {
    return Response.json(await run((await request.json()) as Job))
  },
}
