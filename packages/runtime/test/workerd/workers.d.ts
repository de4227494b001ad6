/** What the tests' Workers need of workerd's own module. */
declare module 'cloudflare:workers' {
  export class DurableObject<Env = unknown> {
    protected readonly env: Env
  }
}
