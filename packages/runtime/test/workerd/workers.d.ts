/** The part of workerd's own module that the tests' Workers use. */
declare module 'cloudflare:workers' {
  export class DurableObject<Env = unknown> {
    protected readonly env: Env
  }
}
