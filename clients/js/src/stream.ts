/** A session's stream: speech in, events and media out. It outlives the connection that carries it. */

import type { Closed, Connection } from "./connection.js";
import { isCounted, parseServer, toText } from "./codec.js";
import { DisconnectedError, MyTalkError, ProtocolError, ServerError } from "./errors.js";
import { Listeners } from "./listeners.js";
import type * as m from "./messages.js";
import { abortable, deferred, type Deferred } from "./promises.js";
import { Queue } from "./queue.js";
import { SendQueue } from "./send-queue.js";
import { openSocket } from "./socket.js";
import type { OpenSocket } from "./socket-types.js";
import { SpeechWriter, type SayOptions, type Speech } from "./speech.js";
import type { Token } from "./token.js";
import { Transport } from "./transport.js";

/** Events that wait for a reader. Full: the oldest is dropped. */
const MAX_EVENTS = 512;

/** Media messages that wait for a reader: about 7 s. Full: the reader gets an error. */
const MAX_MEDIA = 512;

/** Far below the 30 s (`pause_ms`) beyond which the server reads nothing more, not even a `speech.clear`. */
const AHEAD_MS = 10_000;

/** Codes of an `error` that answers a packet, which has no `event_id`. */
const SPEECH_ERRORS = new Set([
  "no_format",
  "bad_speech",
  "bad_packet",
  "wrong_position",
  "wrong_generation",
  "speech_overflow",
  "not_streamed",
  "not_live",
]);

export interface StreamOptions {
  /** The format of speech; `update` can set it later. */
  speech?: NonNullable<m.SessionUpdate["speech"]>;
  output?: Partial<m.Output>;
  controls?: Record<string, m.Scalar>;
  /** Ends the opening; afterwards it closes the stream. */
  signal?: AbortSignal;
  /** Opens the WebSockets. Left out: the platform's own. */
  socket?: OpenSocket;
  /** Milliseconds of speech that may be sent before they are heard: `say` waits beyond. Left out: 10 000. */
  aheadMs?: number;
}

/** Events of a stream: each message by its type, and `connection` with its state. */
export type StreamEvents = { [T in m.ServerMessage["type"]]: m.Of<T> } & { connection: Connection };

/**
 * Opened by `Session.open`.
 *
 *     await stream.say(samples);                       // Int16Array, Float32Array, or bytes
 *     const { utterance } = await stream.commit();
 *     for await (const event of stream) if (event.type === "playback.finished") break;
 *
 * A connection that breaks is made again and nothing is lost; where that fails, pending calls and the loop throw.
 */
export class Stream implements AsyncIterable<m.StreamEvent> {
  /** Resolves when the stream is over. */
  readonly closed: Promise<Closed>;

  readonly #listeners = new Listeners<StreamEvents>();
  readonly #events = new Queue<m.StreamEvent>(MAX_EVENTS, "drop-oldest");
  readonly #media = new Set<Queue<m.Media>>();
  readonly #requests = new Map<string, Deferred<m.ServerMessage>>();
  readonly #queue = new SendQueue();
  readonly #transport: Transport;
  readonly #over = deferred<Closed>();
  readonly #created = deferred<m.SessionCreated>();
  readonly #speech: SpeechWriter;
  #isOver = false;
  #received = 0;
  #requestCount = 0;
  #committed = 0; // utterances
  #finished: { utterance: number; event: m.PlaybackFinished } | undefined; // the newest that is over

  private constructor(url: string, token: Token, options: StreamOptions) {
    this.closed = this.#over.promise;
    this.#speech = new SpeechWriter((data, ms) => this.#send(data, ms), this.#queue, options.aheadMs ?? AHEAD_MS);
    this.#transport = new Transport(url, token, options.socket ?? openSocket, {
      message: (data) => this.#receive(data),
      received: () => this.#received,
      changed: (state) => this.#listeners.emit("connection", state),
      over: (closed) => this.#end(closed),
    });
  }

  /** Connects, and sends what `options` holds. */
  static async open(url: string, token: Token, options: StreamOptions = {}): Promise<Stream> {
    const { speech, output, controls, signal } = options;
    signal?.throwIfAborted();
    const stream = new Stream(url, token, options);
    try {
      await abortable(stream.#transport.open(), signal);
      await abortable(stream.#created.promise, signal);
      const changes = { ...(speech && { speech }), ...(output && { output }), ...(controls && { controls }) };
      if (Object.keys(changes).length > 0) await stream.update(changes, signal);
    } catch (error) {
      stream.close();
      throw error;
    }
    signal?.addEventListener("abort", () => stream.close(), { once: true });
    return stream;
  }

  /** Resolves with the first message: limits, controls, disclosure. */
  get created(): Promise<m.SessionCreated> {
    return this.#created.promise;
  }

  /** Number of clears so far. Speech that is sent now belongs to this generation. */
  get generation(): number {
    return this.#speech.generation;
  }

  // --- speech out

  /**
   * Sends speech in the format of the stream, in order; waits while more than `aheadMs` is unheard. Resolves with the
   * samples (of a channel) that were sent: fewer than given where `clear` came meanwhile. Throws `ServerError` after
   * the server refused speech, until `clear` or another format.
   */
  say(speech: Speech, options: SayOptions = {}): Promise<number> {
    return this.#speech.say(speech, options);
  }

  /** Ends the utterance. */
  async commit(signal?: AbortSignal): Promise<m.SpeechCommitted> {
    return await this.#speech.inOrder(() => this.#request({ type: "speech.commit" }, "speech.committed", signal), signal);
  }

  /** Barge-in: drops all speech that is not heard yet. Resolves with the position up to which it was heard. */
  clear(signal?: AbortSignal): Promise<m.PlaybackFinished> {
    this.#speech.startGeneration(this.#speech.generation + 1);
    return this.#request({ type: "speech.clear" }, "playback.finished", signal);
  }

  /** Resolves when an utterance was heard to its end, or interrupted. */
  async finished(utterance: number, signal?: AbortSignal): Promise<m.PlaybackFinished> {
    const found = deferred<m.PlaybackFinished>();
    const check = () => {
      if (this.#finished !== undefined && this.#finished.utterance >= utterance) found.resolve(this.#finished.event);
    };
    check();
    const off = this.on("playback.finished", check);
    void this.closed.then(({ error, reason }) => found.reject(error ?? new DisconnectedError(reason, 1000)));
    try {
      return await abortable(found.promise, signal);
    } finally {
      off();
    }
  }

  /** Changes the speech's format, the output or controls; resolves with the values that hold now. */
  async update(changes: Omit<m.SessionUpdate, "type" | "event_id">, signal?: AbortSignal): Promise<m.SessionUpdated> {
    const request = () => this.#request({ type: "session.update", ...changes }, "session.updated", signal);
    if (changes.speech === undefined) return await request();
    return await this.#speech.inOrder(async () => {
      const updated = await request();
      if (updated.speech !== undefined) this.#speech.setFormat(updated.speech);
      return updated;
    }, signal);
  }

  // --- events and media in

  /** Calls `listener` for each message of a type, or state of the connection; returns a function that removes it. */
  on<T extends keyof StreamEvents>(
    type: T,
    listener: (event: StreamEvents[T]) => void,
    signal?: AbortSignal,
  ): () => void {
    return this.#listeners.on(type, listener, signal);
  }

  /** Iterates over the events since the opening. One loop at a time. */
  [Symbol.asyncIterator](): AsyncIterator<m.StreamEvent> {
    return { next: () => this.#events.next() };
  }

  /** Iterates over sound and pictures from now on. */
  media(): AsyncIterableIterator<m.Media> {
    const queue: Queue<m.Media> = new Queue(MAX_MEDIA, "fail", () => this.#media.delete(queue));
    if (this.#isOver) queue.end();
    else this.#media.add(queue);
    return queue;
  }

  // --- end

  /** Ends the session, for everybody. */
  async end(): Promise<void> {
    this.#send(toText({ type: "session.end" }), 0);
    await this.closed;
  }

  /** Closes the stream. The session lives on while it has another connection. */
  close(): void {
    this.#transport.close(1000);
    this.#end({ reason: "closed by this side" });
  }

  // --- messages

  #request<T extends m.ServerMessage["type"]>(
    message: m.SessionUpdate | m.SpeechCommit | m.SpeechClear,
    _answer: T,
    signal: AbortSignal | undefined,
  ): Promise<m.Of<T>> {
    if (this.#isOver) return Promise.reject(new DisconnectedError("the stream is over", 1000));
    const event_id = `js-${(this.#requestCount += 1)}`;
    const answer = deferred<m.ServerMessage>();
    this.#requests.set(event_id, answer);
    this.#send(toText({ ...message, event_id }), 0);
    return abortable(answer.promise, signal) as Promise<m.Of<T>>;
  }

  #send(data: string | Uint8Array, speechMs: number): void {
    if (this.#isOver) throw new DisconnectedError("the stream is over", 1000);
    this.#queue.push({ data, speechMs });
    this.#transport.send(data);
  }

  #receive(data: string | Uint8Array): void {
    let message: m.ServerMessage;
    try {
      message = parseServer(data);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#received += 1;
      if (error.code !== "unknown_type") this.#fail(error);
      return;
    }
    if (isCounted(message.type)) this.#received += 1;
    this.#apply(message);
    this.#listeners.emit(message.type, message as never);
    if (message.type === "media") for (const queue of this.#media) queue.push(message);
    else if (message.type !== "ack" && message.type !== "pong") this.#events.push(message);
    this.#settleRequest(message);
  }

  #apply(message: m.ServerMessage): void {
    if ("generation" in message && message.type !== "speech.dropped") this.#speech.followGeneration(message.generation);
    switch (message.type) {
      case "session.created":
        this.#transport.markReady([], message.limits.resume_ms);
        this.#created.resolve(message);
        break;
      case "session.resumed":
        this.#acknowledged(message.received);
        this.#transport.markReady(this.#queue.unacknowledged());
        break;
      case "ack":
        this.#acknowledged(message.received);
        this.#speech.setBuffered(message.buffered_ms, message.received);
        break;
      case "speech.committed":
        this.#committed = message.utterance;
        break;
      case "playback.finished":
        this.#finished = {
          utterance: Math.max(message.utterance ?? 0, message.interrupted ? this.#committed : 0),
          event: message,
        };
        break;
      case "session.ended":
        this.#transport.expectClose({ reason: message.reason });
        break;
      case "error":
        if (message.fatal) this.#transport.expectClose({ reason: message.message, error: serverError(message) });
        else if (SPEECH_ERRORS.has(message.code) && message.event_id === undefined) this.#speech.refuse(serverError(message));
        break;
    }
  }

  #settleRequest(message: m.ServerMessage): void {
    if (!("event_id" in message) || message.event_id === undefined) return;
    const answer = this.#requests.get(message.event_id);
    this.#requests.delete(message.event_id);
    if (message.type === "error") answer?.reject(serverError(message));
    else answer?.resolve(message);
  }

  #acknowledged(received: number): void {
    try {
      this.#queue.acknowledge(received);
    } catch (error) {
      this.#fail(new ProtocolError("bad_message", String(error)));
    }
  }

  #fail(error: MyTalkError): void {
    this.#transport.close(1008);
    this.#end({ reason: error.message, error });
  }

  #end(closed: Closed): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const error = closed.error ?? new DisconnectedError(`the stream is over: ${closed.reason}`, 1000);
    this.#created.reject(error);
    for (const answer of this.#requests.values()) answer.reject(error);
    this.#requests.clear();
    this.#speech.close(error);
    this.#events.end(closed.error);
    for (const queue of this.#media) queue.end(closed.error);
    this.#over.resolve(closed);
    this.#listeners.emit("connection", "closed");
  }
}

function serverError({ code, message, fatal, event_id }: m.ErrorMessage): ServerError {
  return new ServerError(code, message, fatal, event_id);
}
