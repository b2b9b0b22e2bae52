/** Speech on its way to the server: cut into messages, counted, and not too far ahead of what is heard. */

import type { SpeechFormat } from "./messages.js";
import { opusSamples } from "./opus.js";
import { packSpeech } from "./packets.js";
import { pcmBytes, toPcm16 } from "./pcm.js";
import type { Sent } from "./sent.js";
import { abortable, deferred, type Deferred } from "./waiting.js";

/** PCM samples, interleaved (16 bit, or -1 to 1), or one Opus packet. */
export type Speech = Int16Array | Float32Array | Uint8Array;

export interface SayOptions {
  signal?: AbortSignal;
  /** Dubbing: the media time (16 kHz) of the picture that it belongs to. Left out: it follows what was said before. */
  at?: number;
}

/** Media time: samples at 16 kHz. */
const MEDIA_RATE = 16_000;

/** Messages a second, for PCM. */
const MESSAGES = 10;

export class SpeechWriter {
  generation = 0;
  #format: SpeechFormat | undefined;
  #pts = 0;
  #waitingThere = 0; // ms, as the server said last
  #since = 0; // messages before the clear that began this generation
  #room: Deferred<void> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #over: Error | undefined;
  #refused: Error | undefined; // what was sent last: what follows it would be refused as well

  /**
   * @param put sends a packet that holds so many milliseconds of speech
   * @param sent what the server may not have yet
   * @param aheadMs speech that may wait, here, there and on the way
   */
  constructor(
    private readonly put: (packet: Uint8Array, ms: number) => void,
    private readonly sent: Sent,
    private readonly aheadMs: number,
  ) {}

  /** Does `work` when all before it is done: what is said keeps its order. */
  inTurn<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const done = this.#turn.then(() => {
      signal?.throwIfAborted();
      if (this.#over !== undefined) throw this.#over;
      return work();
    });
    this.#turn = done.catch(() => undefined);
    return abortable(done, signal);
  }

  say(speech: Speech, { signal, at }: SayOptions = {}): Promise<number> {
    const generation = this.generation;
    return this.inTurn(async () => {
      const format = this.#format;
      if (format === undefined) throw new TypeError("speech in no format (first update({ speech: ... }))");
      let samples = 0;
      for (const part of parts(speech, format)) {
        while (generation === this.generation && this.#refused === undefined && this.#ahead > this.aheadMs) {
          await abortable((this.#room ??= deferred()).promise, signal);
        }
        if (generation !== this.generation) break;
        if (this.#refused !== undefined) throw this.#refused;
        const ms = (1000 * part.samples) / format.rate;
        const timed = at !== undefined;
        const pts = timed ? at + Math.floor((samples * MEDIA_RATE) / format.rate) : this.#pts;
        this.put(packSpeech({ encoding: format.encoding, generation, pts, payload: part.payload, timed }), ms);
        if (!timed) this.#pts += part.samples;
        samples += part.samples;
      }
      return samples;
    }, signal);
  }

  /** Speech comes like this from now on. */
  expect(format: SpeechFormat): void {
    this.#format = format;
    this.#pts = 0;
    this.#refused = undefined;
  }

  /** The server did not take a packet: nothing more is sent before another format, or a clear, begins anew. */
  refuse(error: Error): void {
    this.#refused = error;
    this.#wake();
  }

  /** What is said from now on belongs to `generation`; what waits to be said is not. */
  nextGeneration(generation: number): void {
    this.generation = generation;
    this.#pts = 0;
    this.#refused = undefined;
    this.#waitingThere = 0;
    this.sent.hush();
    this.#since = this.sent.count;
    this.#wake();
  }

  /** A message of that generation came: someone else may have cleared. */
  sawGeneration(generation: number): void {
    if (generation > this.generation) this.nextGeneration(generation);
  }

  /** So much speech waited at the server when it had `received` messages: of an older generation it means nothing. */
  waiting(ms: number, received: number): void {
    if (received > this.#since || this.generation === 0) this.#waitingThere = ms;
    this.#wake();
  }

  end(error: Error): void {
    this.#over = error;
    this.#room?.reject(error);
  }

  get #ahead(): number {
    return this.#waitingThere + this.sent.speech;
  }

  #wake(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }
}

function* parts(speech: Speech, format: SpeechFormat): Generator<{ payload: Uint8Array; samples: number }> {
  if (speech instanceof Uint8Array) {
    if (format.encoding !== "opus") throw new TypeError("bytes, but the format is pcm16 (need Int16Array or Float32Array)");
    yield { payload: speech, samples: opusSamples(speech) };
    return;
  }
  if (format.encoding !== "pcm16") throw new TypeError("samples, but the format is opus (need a Uint8Array, one packet)");
  if (speech.length % format.channels !== 0) {
    throw new RangeError(`${speech.length} samples (need as many of each of ${format.channels} channels)`);
  }
  const step = Math.floor(format.rate / MESSAGES) * format.channels;
  for (let at = 0; at < speech.length; at += step) {
    const part = speech.subarray(at, at + step);
    const pcm = part instanceof Float32Array ? toPcm16(part) : part;
    yield { payload: pcmBytes(pcm), samples: pcm.length / format.channels };
  }
}
