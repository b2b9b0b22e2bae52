/** Opens a WebSocket (RFC 6455) over `node:http`, for Node before version 22, which has none of its own. */

import { createHash, randomBytes } from "node:crypto";
import http from "node:http";
import https from "node:https";
import type { Duplex } from "node:stream";
import { SUBPROTOCOL } from "./codec.js";
import { DisconnectedError } from "./errors.js";
import type { OpenSocket, Socket, SocketEvents } from "./socket-types.js";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455, 1.3

/** Of a message that is accepted. Beyond: the connection is cut. */
const MAX_MESSAGE_BYTES = 1 << 26;

/** Time for the other side to answer a close frame. */
const CLOSE_TIMEOUT_MS = 2_000;

const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;

export const openNodeSocket: OpenSocket = (url, token, events) =>
  new Promise((resolve, reject) => {
    const key = randomBytes(16).toString("base64");
    const request = (url.startsWith("wss:") ? https : http).request(url.replace(/^ws/, "http"), {
      headers: {
        Connection: "Upgrade",
        Upgrade: "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Protocol": SUBPROTOCOL,
        Authorization: `Bearer ${token}`,
      },
    });
    request.on("error", (error) => reject(new DisconnectedError(`no connection (${error.message})`, 1006)));
    request.on("response", (response) => {
      response.resume();
      reject(new DisconnectedError(`the server answered ${response.statusCode} (need 101)`, 1006));
    });
    request.on("upgrade", (response, stream, head) => {
      const accept = createHash("sha1").update(key + GUID).digest("base64");
      if (response.headers["sec-websocket-accept"] !== accept) {
        stream.destroy();
        reject(new DisconnectedError("the server is no WebSocket (RFC 6455)", 1006));
        return;
      }
      resolve(new NodeSocket(stream, events, head));
    });
    request.end();
  });

class NodeSocket implements Socket {
  #unread: Buffer;
  #parts: Buffer[] = []; // of a message in fragments
  #opcode = TEXT; // of that message
  #code = 1006;
  #closing = false;

  constructor(
    private readonly stream: Duplex,
    private readonly events: SocketEvents,
    head: Buffer,
  ) {
    this.#unread = head;
    stream.on("data", (data: Buffer) => this.#read(data));
    stream.on("error", () => stream.destroy());
    stream.on("end", () => stream.end());
    stream.on("close", () => events.closed(this.#code));
    if (head.length > 0) setImmediate(() => this.#read(Buffer.alloc(0)));
  }

  send(data: string | Uint8Array): void {
    if (this.#closing) return;
    this.#write(typeof data === "string" ? TEXT : BINARY, Buffer.from(data as string));
  }

  close(code: number): void {
    if (this.#closing) return;
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    this.#write(CLOSE, payload);
    this.#closing = true;
    this.#code = code;
    setTimeout(() => this.stream.destroy(), CLOSE_TIMEOUT_MS).unref();
  }

  #write(opcode: number, payload: Buffer): void {
    if (!this.stream.writable) return;
    const length = payload.length;
    const extended = length < 126 ? 0 : length < 65536 ? 2 : 8;
    const header = Buffer.alloc(2 + extended);
    header[0] = 0x80 | opcode;
    header[1] = 0x80 | (extended === 0 ? length : extended === 2 ? 126 : 127);
    if (extended === 2) header.writeUInt16BE(length, 2);
    if (extended === 8) header.writeBigUInt64BE(BigInt(length), 2);
    const mask = randomBytes(4);
    const masked = Buffer.alloc(length);
    for (let i = 0; i < length; i += 1) masked[i] = (payload[i] as number) ^ (mask[i & 3] as number);
    this.stream.write(Buffer.concat([header, mask, masked]));
  }

  #read(data: Buffer): void {
    this.#unread = this.#unread.length > 0 ? Buffer.concat([this.#unread, data]) : data;
    for (let frame = this.#nextFrame(); frame !== undefined; frame = this.#nextFrame()) {
      this.#receive(frame.opcode, frame.final, frame.payload);
    }
  }

  /** The next whole frame, or undefined. A server masks nothing (RFC 6455, 5.1). */
  #nextFrame(): { opcode: number; final: boolean; payload: Buffer } | undefined {
    const bytes = this.#unread;
    if (bytes.length < 2) return undefined;
    const short = bytes.readUInt8(1) & 127;
    const start = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (bytes.length < start) return undefined;
    const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if (length > MAX_MESSAGE_BYTES) {
      this.stream.destroy();
      return undefined;
    }
    if (bytes.length < start + length) return undefined;
    this.#unread = bytes.subarray(start + length);
    const first = bytes.readUInt8(0);
    return { opcode: first & 15, final: first >= 128, payload: bytes.subarray(start, start + length) };
  }

  #receive(opcode: number, final: boolean, payload: Buffer): void {
    if (opcode === CLOSE) {
      const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1006;
      if (!this.#closing) this.close(code);
      this.#code = code;
      this.stream.end();
    } else if (opcode === PING) {
      this.#write(PING + 1, payload);
    } else if (opcode === TEXT || opcode === BINARY || opcode === CONTINUATION) {
      if (opcode !== CONTINUATION) this.#opcode = opcode;
      this.#parts.push(payload);
      if (this.#parts.reduce((sum, part) => sum + part.length, 0) > MAX_MESSAGE_BYTES) this.stream.destroy();
      if (!final) return;
      const whole = this.#parts.length === 1 ? payload : Buffer.concat(this.#parts);
      this.#parts = [];
      this.events.message(this.#opcode === TEXT ? whole.toString("utf8") : new Uint8Array(whole));
    }
  }
}
