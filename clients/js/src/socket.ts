/** Opens a WebSocket: the platform's own, or in Node before version 22 one over `node:http`. */

import { SUBPROTOCOL, TOKEN_PREFIX } from "./codec.js";
import { DisconnectedError } from "./errors.js";
import type { OpenSocket } from "./socket-types.js";

export const openSocket: OpenSocket = async (url, token, events) => {
  if (typeof WebSocket === "function") return openWebSocket(url, token, events);
  const { openNodeSocket } = await import("./node-socket.js");
  return openNodeSocket(url, token, events);
};

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
