/** Carries one stream over WebSockets: when one breaks, another is opened and resumes where it stopped. */

import { toText } from "./codec.js";
import type { Closed, Connection } from "./connection.js";
import { DisconnectedError } from "./errors.js";
import { sleep } from "./promises.js";
import type { OpenSocket, Socket } from "./socket-types.js";
import { currentToken, type Token } from "./token.js";

const PING_INTERVAL_MS = 5_000;

/** A connection that brought nothing for so long, not even a pong, counts as broken. */
const SILENCE_TIMEOUT_MS = 12_000;

const TICK_MS = 1_000; // between looks at acknowledgements, pings and silence

const OPEN_TIMEOUT_MS = 5_000;

/** Pauses between attempts to resume: doubled with each, up to the maximum. */
const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 2_000;

/** Close codes after which there is nothing to resume. */
const FINAL: Record<number, string> = {
  1000: "the session ended",
  1001: "the server stops",
  1008: "the server refused the connection",
  1009: "a message was too large",
  1011: "the session failed",
  1013: "the connection is too slow",
  4000: "the stream was resumed on another connection",
};

export interface TransportEvents {
  message: (data: string | Uint8Array) => void;
  /** Returns the number of counted messages received so far. */
  received: () => number;
  changed: (state: Connection) => void;
  over: (closed: Closed) => void;
}

export class Transport {
  #socket: Socket | undefined;
  #attempt = 0; // an event of an older attempt is ignored
  #ready = false; // created or resumed: messages may go out
  #over = false;
  #resumeMs = 0; // 0: never created
  #resumeUntil = 0;
  #expected: Closed | undefined;
  #lastMessageAt = 0;
  #lastPingAt = 0;
  #acknowledged = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly url: string,
    private readonly token: Token,
    private readonly openSocket: OpenSocket,
    private readonly events: TransportEvents,
  ) {}

  /** Opens the first connection. Throws `DisconnectedError`. */
  async open(): Promise<void> {
    await this.#connect(this.url);
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    (this.#timer as { unref?: () => void }).unref?.();
  }

  /** Sends now, or not at all: counted messages are sent again when the stream is resumed. */
  send(data: string | Uint8Array): void {
    if (this.#ready) this.#socket?.send(data);
  }

  /** Marks the stream as created or resumed on this connection, and sends what the server has `missing` first. */
  markReady(missing: Iterable<{ data: string | Uint8Array }>, resumeMs = this.#resumeMs): void {
    this.#resumeMs = resumeMs;
    this.#ready = true;
    for (const { data } of missing) this.#socket?.send(data);
    this.events.changed("open");
  }

  /** Sets the reason of the close that comes next. */
  expectClose(closed: Closed): void {
    this.#expected = closed;
  }

  close(code: number): void {
    this.#over = true;
    this.#ready = false;
    this.#attempt += 1;
    clearInterval(this.#timer);
    this.#socket?.close(code);
    this.#socket = undefined;
  }

  async #connect(url: string): Promise<void> {
    const attempt = (this.#attempt += 1);
    const early: (string | Uint8Array)[] = []; // came before `opening` resolved
    let earlyClose: number | undefined;
    const opening = this.openSocket(url, currentToken(this.token), {
      message: (data) => {
        if (attempt !== this.#attempt) return;
        this.#lastMessageAt = performance.now();
        if (this.#socket === undefined) early.push(data);
        else this.events.message(data);
      },
      closed: (code) => {
        if (attempt !== this.#attempt) return;
        if (this.#socket === undefined) earlyClose = code;
        else this.#closed(code);
      },
    });
    const timeout = sleep(OPEN_TIMEOUT_MS).then(() => {
      throw new DisconnectedError(`no connection within ${OPEN_TIMEOUT_MS / 1000} s`, 1006);
    });
    timeout.catch(() => undefined);
    void opening.then((socket) => attempt !== this.#attempt && socket.close(1000)).catch(() => undefined);
    try {
      this.#socket = await Promise.race([opening, timeout]);
    } catch (error) {
      this.#attempt += 1;
      throw error;
    }
    if (this.#over) throw new DisconnectedError("the stream was closed", 1000);
    this.#lastMessageAt = this.#lastPingAt = performance.now();
    for (const data of early) this.events.message(data);
    if (earlyClose !== undefined) this.#closed(earlyClose);
  }

  #closed(code: number): void {
    if (this.#ready) this.#resumeUntil = performance.now() + this.#resumeMs;
    this.#socket = undefined;
    this.#ready = false;
    const reason = FINAL[code];
    if (this.#expected !== undefined) this.#finish(this.#expected);
    else if (code === 1000 || code === 1001) this.#finish({ reason: reason as string });
    else if (reason !== undefined) this.#finish({ reason, error: new DisconnectedError(reason, code) });
    else if (this.#resumeMs === 0) this.#break("the connection broke before the stream began");
    else void this.#resume();
  }

  async #resume(): Promise<void> {
    this.events.changed("resuming");
    for (let pause = 0; !this.#over; pause = Math.min(MAX_PAUSE_MS, 2 * pause || FIRST_PAUSE_MS)) {
      await sleep(pause);
      if (this.#over) return;
      if (performance.now() > this.#resumeUntil) {
        return this.#break(`the connection broke, and none could be opened for ${this.#resumeMs / 1000} s`);
      }
      const url = new URL(this.url);
      url.searchParams.set("resume", String(this.events.received()));
      try {
        return await this.#connect(url.href);
      } catch {
        continue;
      }
    }
  }

  #break(reason: string): void {
    this.#finish({ reason, error: new DisconnectedError(reason, 1006) });
  }

  #finish(closed: Closed): void {
    this.#over = true;
    clearInterval(this.#timer);
    this.events.over(closed);
  }

  #tick(): void {
    if (!this.#ready) return;
    const now = performance.now();
    const received = this.events.received();
    if (received !== this.#acknowledged) this.#socket?.send(toText({ type: "ack", received }));
    this.#acknowledged = received;
    if (now - this.#lastPingAt > PING_INTERVAL_MS) {
      this.#lastPingAt = now;
      this.#socket?.send(toText({ type: "ping" }));
    }
    if (now - this.#lastMessageAt < SILENCE_TIMEOUT_MS) return;
    this.#attempt += 1;
    this.#socket?.close(4001);
    this.#closed(1006);
  }
}
