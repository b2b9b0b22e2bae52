/** A session's stream: speech in, events and media out, whatever becomes of the connection that carries it. */

import type { Closed, Connection } from "./connection.js";
import { isCounted, parseServer, toText } from "./codec.js";
import { DisconnectedError, MyTalkError, ProtocolError, ServerError } from "./errors.js";
import { Line } from "./line.js";
import { Listeners } from "./listeners.js";
import type * as m from "./messages.js";
import { Sent } from "./sent.js";
import { openSocket } from "./socket.js";
import type { OpenSocket } from "./socket-types.js";
import { SpeechWriter, type SayOptions, type Speech } from "./speech.js";
import type { Token } from "./token.js";
import { Queue } from "./queue.js";
import { abortable, deferred, type Deferred } from "./waiting.js";

/** Events that wait for a reader. Full: the oldest is forgotten. */
const EVENTS_KEPT = 512;

/** Media messages that wait for a reader: about 7 s. Full: the reader gets an error. */
const MEDIA_KEPT = 512;

/** Far below the 30 s from which on the server reads no more, a `speech.clear` included. */
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
  /** How speech will come; may be said later by `update`. */
  speech?: NonNullable<m.SessionUpdate["speech"]>;
  output?: Partial<m.Output>;
  controls?: Record<string, m.Scalar>;
  /** Ends the opening; afterwards it closes the stream. */
  signal?: AbortSignal;
  /** How connections are made; a test's or a program's own. */
  socket?: OpenSocket;
  /** Speech (ms) that is sent ahead of what is heard: `say` waits beyond. */
  aheadMs?: number;
}

/** What `on` can listen to: a message by its type, and how the connection does. */
export type StreamEvents = { [T in m.ServerMessage["type"]]: m.Of<T> } & { connection: Connection };

/**
 * Opened by `Session.open`.
 *
 *     await stream.say(samples);                       // Int16Array, Float32Array, or one Opus packet
 *     const { utterance } = await stream.commit();
 *     for await (const event of stream) if (event.type === "playback.finished") break;
 *
 * A connection that breaks is made again and nothing is lost; where that fails, what waits throws and the loop does.
 */
export class Stream implements AsyncIterable<m.StreamEvent> {
  /** Resolves when it is over. */
  readonly closed: Promise<Closed>;

  readonly #listeners = new Listeners<StreamEvents>();
  readonly #events = new Queue<m.StreamEvent>(EVENTS_KEPT, "forget");
  readonly #media = new Set<Queue<m.Media>>();
  readonly #questions = new Map<string, Deferred<m.ServerMessage>>();
  readonly #sent = new Sent();
  readonly #line: Line;
  readonly #over = deferred<Closed>();
  readonly #created = deferred<m.SessionCreated>();
  readonly #speech: SpeechWriter;
  #isOver = false;
  #received = 0;
  #asked = 0;
  #committed = 0; // utterances
  #heard: { until: number; event: m.PlaybackFinished } | undefined; // the newest that is over, and how it ended

  private constructor(url: string, token: Token, options: StreamOptions) {
    this.closed = this.#over.promise;
    this.#speech = new SpeechWriter((data, speech) => this.#put(data, speech), this.#sent, options.aheadMs ?? AHEAD_MS);
    this.#line = new Line(url, token, options.socket ?? openSocket, {
      receive: (data) => this.#receive(data),
      received: () => this.#received,
      changed: (state) => this.#listeners.emit("connection", state),
      over: (closed) => this.#end(closed),
    });
  }

  /** Connects, and says what is in `options`. */
  static async open(url: string, token: Token, options: StreamOptions = {}): Promise<Stream> {
    const { speech, output, controls, signal } = options;
    signal?.throwIfAborted();
    const stream = new Stream(url, token, options);
    try {
      await abortable(stream.#line.open(), signal);
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

  /** The first message: limits, controls, disclosure. */
  get created(): Promise<m.SessionCreated> {
    return this.#created.promise;
  }

  /** Clears so far: what is said now belongs to this generation. */
  get generation(): number {
    return this.#speech.generation;
  }

  // --- what to say

  /**
   * Sends speech in the format that was announced, in order; waits while too much is ahead. Gives the samples (of a
   * channel) that were sent: fewer than given where `clear` came meanwhile. Throws `ServerError` where the server did
   * not take what was sent before, until `clear` or another format begins anew.
   */
  say(speech: Speech, options: SayOptions = {}): Promise<number> {
    return this.#speech.say(speech, options);
  }

  /** The utterance ends here. */
  async commit(signal?: AbortSignal): Promise<m.SpeechCommitted> {
    return await this.#speech.inTurn(() => this.#ask({ type: "speech.commit" }, "speech.committed", signal), signal);
  }

  /** Barge-in: nothing said so far is heard any more. Gives how far it was heard. */
  clear(signal?: AbortSignal): Promise<m.PlaybackFinished> {
    this.#speech.nextGeneration(this.#speech.generation + 1);
    return this.#ask({ type: "speech.clear" }, "playback.finished", signal);
  }

  /** Resolves when an utterance was heard to its end, or cut short. */
  async finished(utterance: number, signal?: AbortSignal): Promise<m.PlaybackFinished> {
    const found = deferred<m.PlaybackFinished>();
    const look = () => {
      if (this.#heard !== undefined && this.#heard.until >= utterance) found.resolve(this.#heard.event);
    };
    look();
    const off = this.on("playback.finished", look);
    void this.closed.then(({ error, reason }) => found.reject(error ?? new DisconnectedError(reason, 1000)));
    try {
      return await abortable(found.promise, signal);
    } finally {
      off();
    }
  }

  /** Changes the speech's format, the output or controls; gives what holds now. */
  async update(changes: Omit<m.SessionUpdate, "type" | "event_id">, signal?: AbortSignal): Promise<m.SessionUpdated> {
    const ask = () => this.#ask({ type: "session.update", ...changes }, "session.updated", signal);
    if (changes.speech === undefined) return await ask();
    return await this.#speech.inTurn(async () => {
      const updated = await ask();
      if (updated.speech !== undefined) this.#speech.expect(updated.speech);
      return updated;
    }, signal);
  }

  // --- what comes

  /** Calls `listener` for each message of a type, or change of the connection; returns what ends that. */
  on<T extends keyof StreamEvents>(
    type: T,
    listener: (event: StreamEvents[T]) => void,
    signal?: AbortSignal,
  ): () => void {
    return this.#listeners.on(type, listener, signal);
  }

  /** Events from the opening on. One loop at a time. */
  [Symbol.asyncIterator](): AsyncIterator<m.StreamEvent> {
    return { next: () => this.#events.next() };
  }

  /** Sound and pictures from now on. */
  media(): AsyncIterableIterator<m.Media> {
    const queue: Queue<m.Media> = new Queue(MEDIA_KEPT, "fail", () => this.#media.delete(queue));
    if (this.#isOver) queue.end();
    else this.#media.add(queue);
    return queue;
  }

  // --- its end

  /** Ends the session, for everybody. */
  async end(): Promise<void> {
    this.#put(toText({ type: "session.end" }), 0);
    await this.closed;
  }

  /** Leaves the stream. The session goes on only while it has something else to live for. */
  close(): void {
    this.#line.close(1000);
    this.#end({ reason: "closed by this side" });
  }

  // --- inside

  #ask<T extends m.ServerMessage["type"]>(
    message: m.SessionUpdate | m.SpeechCommit | m.SpeechClear,
    _answer: T,
    signal: AbortSignal | undefined,
  ): Promise<m.Of<T>> {
    if (this.#isOver) return Promise.reject(new DisconnectedError("the stream is over", 1000));
    const event_id = `js-${(this.#asked += 1)}`;
    const answer = deferred<m.ServerMessage>();
    this.#questions.set(event_id, answer);
    this.#put(toText({ ...message, event_id }), 0);
    return abortable(answer.promise, signal) as Promise<m.Of<T>>;
  }

  #put(data: string | Uint8Array, speech: number): void {
    if (this.#isOver) throw new DisconnectedError("the stream is over", 1000);
    this.#sent.put({ data, speech });
    this.#line.send(data);
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
    this.#take(message);
    this.#listeners.emit(message.type, message as never);
    if (message.type === "media") for (const queue of this.#media) queue.push(message);
    else if (message.type !== "ack" && message.type !== "pong") this.#events.push(message);
    this.#answer(message);
  }

  #take(message: m.ServerMessage): void {
    if ("generation" in message && message.type !== "speech.dropped") this.#speech.sawGeneration(message.generation);
    switch (message.type) {
      case "session.created":
        this.#line.isUp([], message.limits.resume_ms);
        this.#created.resolve(message);
        break;
      case "session.resumed":
        this.#acknowledged(message.received);
        this.#line.isUp(this.#sent.rest());
        break;
      case "ack":
        this.#acknowledged(message.received);
        this.#speech.waiting(message.buffered_ms, message.received);
        break;
      case "speech.committed":
        this.#committed = message.utterance;
        break;
      case "playback.finished":
        this.#heard = { until: Math.max(message.utterance ?? 0, message.interrupted ? this.#committed : 0), event: message };
        break;
      case "session.ended":
        this.#line.expectClose({ reason: message.reason });
        break;
      case "error":
        if (message.fatal) this.#line.expectClose({ reason: message.message, error: serverError(message) });
        else if (SPEECH_ERRORS.has(message.code) && message.event_id === undefined) this.#speech.refuse(serverError(message));
        break;
    }
  }

  #answer(message: m.ServerMessage): void {
    if (!("event_id" in message) || message.event_id === undefined) return;
    const answer = this.#questions.get(message.event_id);
    this.#questions.delete(message.event_id);
    if (message.type === "error") answer?.reject(serverError(message));
    else answer?.resolve(message);
  }

  #acknowledged(received: number): void {
    try {
      this.#sent.acknowledge(received);
    } catch (error) {
      this.#fail(new ProtocolError("bad_message", String(error)));
    }
  }

  #fail(error: MyTalkError): void {
    this.#line.close(1008);
    this.#end({ reason: error.message, error });
  }

  #end(closed: Closed): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const error = closed.error ?? new DisconnectedError(`the stream is over: ${closed.reason}`, 1000);
    this.#created.reject(error);
    for (const answer of this.#questions.values()) answer.reject(error);
    this.#questions.clear();
    this.#speech.end(error);
    this.#events.end(closed.error);
    for (const queue of this.#media) queue.end(closed.error);
    this.#over.resolve(closed);
    this.#listeners.emit("connection", "closed");
  }
}

function serverError({ code, message, fatal, event_id }: m.ErrorMessage): ServerError {
  return new ServerError(code, message, fatal, event_id);
}
