/** What a connection into the contract's Worker is to do. */

/** How the Worker's tcp socket and its dialling are set up. */
export type TcpMode = 'clear' | 'starttls' | 'implicit TLS'

export interface Order {
  readonly id: string
  /** Both ends become TLS before the check looks at them. */
  readonly isUpgraded: boolean
  readonly check: string
  /** The check looks at the dialled end; else at the accepted one. */
  readonly isSwapped: boolean
}

/** An order is filled up with blanks to this length, so that nobody reads past it. */
export const ORDER_BYTES = 512
