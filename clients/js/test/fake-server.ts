/** A fake server of `mytalk.v1`: receives speech, counts messages, resumes streams, and sends what a test wants. */

import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";
import { isCounted } from "../src/codec.js";

export interface Packet {
  kind: number;
  flags: number;
  generation: number;
  pts: number;
  payload: Buffer;
}

export type Message = Record<string, unknown> & { type: string };

export class FakeServer {
  readonly requests: IncomingMessage[] = [];
  /** All that was received, over all connections. */
  readonly messages: Message[] = [];
  readonly packets: Packet[] = [];
  connections = 0;
  received = 0;
  generation = 0;
  /** Buffered speech that acknowledgements report. */
  bufferedMs = 0;
  refuse: Message | undefined;
  /** Counted messages after which a connection is cut. */
  cutAfter = Infinity;
  resumeMs = 3000;
  #sent: (string | Buffer)[] = [];
  readonly #watchers = new Set<() => void>();
  #client: WebSocket | undefined;
  #sockets = new Set<Socket>();
  readonly #server: Server;
  readonly #streams = new WebSocketServer({ noServer: true, handleProtocols: () => "mytalk.v1" });
  readonly #answer: (message: Message, server: FakeServer) => Message | undefined;

  constructor(answer: (message: Message, server: FakeServer) => Message | undefined = defaultAnswer) {
    this.#answer = answer;
    this.#server = createServer();
    this.#server.on("upgrade", (request, socket: Socket, head) => {
      this.requests.push(request);
      this.#streams.handleUpgrade(request, socket, head, (client) => this.#accept(client, request));
    });
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1/sessions/x/stream`;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Resolves when `condition` holds; it is checked after each received message. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#watchers.add(resolve));
  }

  /** Cuts all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Closes the connection with a close code. */
  closeWith(code: number): void {
    this.#client?.close(code);
  }

  /** Sends a message, now or when the client is back. */
  send(message: Message | Buffer): void {
    const data = Buffer.isBuffer(message) ? message : JSON.stringify(message);
    if (Buffer.isBuffer(message) || isCounted(message.type)) this.#sent.push(data);
    this.#client?.send(data);
  }

  /** Returns the speech received, and checks that its packets are contiguous. */
  speech(generation = 0): Int16Array {
    const packets = this.packets.filter((packet) => packet.generation === generation);
    let at = 0;
    for (const packet of packets) {
      if (packet.pts !== at) throw new Error(`pts ${packet.pts}, but ${at} samples came before`);
      at += packet.payload.length / 2;
    }
    const bytes = Buffer.concat(packets.map(({ payload }) => payload));
    return new Int16Array(Uint8Array.from(bytes).buffer);
  }

  ack(): void {
    this.send({ type: "ack", received: this.received, buffered_ms: this.bufferedMs });
  }

  #accept(client: WebSocket, request: IncomingMessage): void {
    this.connections += 1;
    this.#client = client;
    let count = 0;
    const resume = new URL(request.url ?? "", "http://x").searchParams.get("resume");
    client.on("close", () => {
      if (this.#client === client) this.#client = undefined;
    });
    if (this.refuse !== undefined) {
      client.send(JSON.stringify(this.refuse));
      client.close(1008);
      return;
    }
    client.on("message", (data: Buffer, binary: boolean) => {
      if (count >= this.cutAfter) return;
      if (this.#receive(data, binary)) count += 1;
      for (const wake of this.#watchers) wake();
      this.#watchers.clear();
      if (count >= this.cutAfter) client.terminate();
    });
    if (resume === null) {
      this.send(CREATED(this.resumeMs));
      return;
    }
    const { received, generation } = this;
    this.send({ type: "session.resumed", session_id: "x", received, generation });
    for (const message of this.#sent.slice(Number(resume))) client.send(message);
  }

  #receive(data: Buffer, binary: boolean): boolean {
    if (binary) {
      this.received += 1;
      this.packets.push({
        kind: data.readUInt8(0),
        flags: data.readUInt8(1),
        generation: data.readUInt32LE(4),
        pts: Number(data.readBigUInt64LE(8)),
        payload: data.subarray(16),
      });
      return true;
    }
    const message = JSON.parse(data.toString()) as Message;
    this.messages.push(message);
    if (isCounted(message.type)) this.received += 1;
    const answer = this.#answer(message, this);
    if (answer !== undefined) {
      const { event_id } = message;
      this.send({ ...answer, ...(event_id !== undefined && { event_id }) });
    }
    return isCounted(message.type);
  }
}

/** The answer of a server to a valid message. */
export function defaultAnswer(message: Message, server: FakeServer): Message | undefined {
  switch (message.type) {
    case "session.update": {
      const { speech, output, controls } = message;
      const channels = { channels: 1, ...(speech as object | undefined) };
      return { type: "session.updated", ...(speech ? { speech: channels } : {}), output, controls };
    }
    case "speech.commit":
      return { type: "speech.committed", utterance: 1, length: 16_000 };
    case "speech.clear":
      server.generation += 1;
      return { type: "playback.finished", position: 320, interrupted: true, generation: server.generation };
    case "ping":
      return { type: "pong" };
    default:
      return undefined;
  }
}

/** Packs media as the server sends them. */
export function media(kind: number, pts: number, payload: Buffer, flags = 0, generation = 0): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt8(kind, 0);
  header.writeUInt8(flags, 1);
  header.writeUInt32LE(generation, 4);
  header.writeBigUInt64LE(BigInt(pts), 8);
  return Buffer.concat([header, payload]);
}

const CREATED = (resume_ms: number): Message => ({
  type: "session.created",
  session_id: "x",
  generation: 0,
  output: { audio: "none", video: "none", form: "binary" },
  controls: { mouth_opening: 1, steps: 1 },
  limits: { message_bytes: 1048576, pause_ms: 30000, buffer_ms: 60000, resume_ms },
  disclosure: "synthetic",
});
