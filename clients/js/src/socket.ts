/** Opens a WebSocket: the platform's own, or where it has none the one that the entry point for Node sets. */

import { SUBPROTOCOL, TOKEN_PREFIX } from "./codec.js";
import { DisconnectedError, UnsupportedError } from "./errors.js";
import type { OpenSocket } from "./socket-types.js";

let openFallback: OpenSocket = () =>
  Promise.reject(new UnsupportedError("no WebSocket here (pass one as the option socket)"));

/** Sets what opens sockets where the platform has no WebSocket. */
export function setFallbackSocket(open: OpenSocket): void {
  openFallback = open;
}

export const openSocket: OpenSocket = (url, token, events) =>
  typeof WebSocket === "function" ? openWebSocket(url, token, events) : openFallback(url, token, events);

const openWebSocket: OpenSocket = (url, token, events) =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(url, [SUBPROTOCOL, TOKEN_PREFIX + token]);
    let opened = false;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      opened = true;
      resolve({
        send: (data) => {
          if (socket.readyState === socket.OPEN) socket.send(data as string | Uint8Array<ArrayBuffer>);
        },
        close: (code) => socket.close(code),
      });
    };
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) =>
      events.message(typeof data === "string" ? data : new Uint8Array(data));
    socket.onclose = ({ code }) => {
      if (opened) events.closed(code === 1005 ? 1006 : code);
      else reject(new DisconnectedError("the connection could not be opened", code));
    };
  });
