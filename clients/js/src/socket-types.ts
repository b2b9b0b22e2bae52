/** A WebSocket as the transport needs it. Types alone, so that each implementation can import them. */

/** An open connection. What is sent after it closed is dropped. */
export interface Socket {
  send(data: string | Uint8Array): void;
  /** Sends a close frame; `closed` is called when the other side has answered, or after 2 s. */
  close(code: number): void;
}

export interface SocketEvents {
  message: (data: string | Uint8Array) => void;
  /** Called once. 1006: broken. */
  closed: (code: number) => void;
}

/** Opens a connection to `url` (`ws:` or `wss:`). Rejects with `DisconnectedError`. */
export type OpenSocket = (url: string, token: string, events: SocketEvents) => Promise<Socket>;
