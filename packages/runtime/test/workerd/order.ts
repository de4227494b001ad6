/** The order for a connection into the contract's Worker. */

/** How the Worker's tcp socket and its dialling are set up. */
export type TcpMode = 'clear' | 'starttls' | 'implicit TLS'

export interface Order {
  readonly id: string
  /** Both ends become TLS before the check looks at them. */
  readonly isUpgraded: boolean
  readonly check: string
  /** True if the check uses the dialled end. Otherwise it uses the accepted one. */
  readonly isSwapped: boolean
}

/** An order is padded with blanks to this length, so that the reader knows where it ends. */
export const ORDER_BYTES = 512
