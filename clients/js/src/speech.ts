/** Sends speech: cut into messages, with positions, and at most so far ahead of what is heard. */

import type { SpeechFormat } from "./messages.js";
import { opusSamples } from "./opus.js";
import { packSpeech } from "./packets.js";
import { pcmBytes, toPcm16 } from "./pcm.js";
import { abortable, deferred, type Deferred } from "./promises.js";
import type { SendQueue } from "./send-queue.js";

/** PCM samples, interleaved (16 bit, or -1 to 1); as bytes: 16 bit, little endian, or one Opus packet. */
export type Speech = Int16Array | Float32Array | Uint8Array;

export interface SayOptions {
  signal?: AbortSignal;
  /** Dubbing: the media time (16 kHz) of the picture that it belongs to. Left out: it follows the speech before. */
  at?: number;
}

/** Media time: samples at 16 kHz. */
const MEDIA_RATE = 16_000;

/** Messages a second, for PCM. */
const MESSAGE_RATE = 10;

export class SpeechWriter {
  generation = 0;
  #format: SpeechFormat | undefined;
  #pts = 0;
  #bufferedMs = 0; // at the server, as it reported last
  #clearedAt = 0; // messages sent before the clear that began this generation
  #wakeup: Deferred<void> | undefined; // of the `say` that waits to send more
  #last: Promise<unknown> = Promise.resolve();
  #closed: Error | undefined;
  #refused: Error | undefined; // the server refused a packet, and would refuse what follows it as well

  /**
   * @param send sends a packet that holds `ms` milliseconds of speech
   * @param queue messages that the server may not have yet
   * @param aheadMs speech that may be unheard: here, on the network and at the server
   */
  constructor(
    private readonly send: (packet: Uint8Array, ms: number) => void,
    private readonly queue: SendQueue,
    private readonly aheadMs: number,
  ) {}

  /** Runs `work` when all work before it is done, so that speech keeps its order. */
  inOrder<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const done = this.#last.then(() => {
      signal?.throwIfAborted();
      if (this.#closed !== undefined) throw this.#closed;
      return work();
    });
    this.#last = done.catch(() => undefined);
    return abortable(done, signal);
  }

  say(speech: Speech, { signal, at }: SayOptions = {}): Promise<number> {
    const generation = this.generation;
    return this.inOrder(async () => {
      const format = this.#format;
      if (format === undefined) throw new TypeError("speech without a format (call update({ speech: ... }) first)");
      let samples = 0;
      for (const part of parts(speech, format)) {
        while (generation === this.generation && this.#refused === undefined && this.#unheardMs > this.aheadMs) {
          await abortable((this.#wakeup ??= deferred()).promise, signal);
        }
        if (generation !== this.generation) break;
        if (this.#refused !== undefined) throw this.#refused;
        const ms = (1000 * part.samples) / format.rate;
        const timed = at !== undefined;
        const pts = timed ? at + Math.floor((samples * MEDIA_RATE) / format.rate) : this.#pts;
        this.send(packSpeech({ encoding: format.encoding, generation, pts, payload: part.payload, timed }), ms);
        if (!timed) this.#pts += part.samples;
        samples += part.samples;
      }
      return samples;
    }, signal);
  }

  /** Sets the format of speech from now on. */
  setFormat(format: SpeechFormat): void {
    this.#format = format;
    this.#pts = 0;
    this.#refused = undefined;
  }

  /** Stops sending, after the server refused a packet, until another format or a clear. */
  refuse(error: Error): void {
    this.#refused = error;
    this.#wake();
  }

  /** Begins a generation: speech that waits to be sent is dropped. */
  startGeneration(generation: number): void {
    this.generation = generation;
    this.#pts = 0;
    this.#refused = undefined;
    this.#bufferedMs = 0;
    this.queue.clearSpeech();
    this.#clearedAt = this.queue.count;
    this.#wake();
  }

  /** Follows the generation of a message that came: another client may have cleared. */
  followGeneration(generation: number): void {
    if (generation > this.generation) this.startGeneration(generation);
  }

  /** Takes the speech that the server held when it had `received` messages. A figure from before a clear is ignored. */
  setBuffered(ms: number, received: number): void {
    if (received > this.#clearedAt || this.generation === 0) this.#bufferedMs = ms;
    this.#wake();
  }

  close(error: Error): void {
    this.#closed = error;
    this.#wakeup?.reject(error);
  }

  /** Milliseconds of speech that are not heard yet. */
  get #unheardMs(): number {
    return this.#bufferedMs + this.queue.speechMs;
  }

  #wake(): void {
    this.#wakeup?.resolve();
    this.#wakeup = undefined;
  }
}

function* parts(speech: Speech, format: SpeechFormat): Generator<{ payload: Uint8Array; samples: number }> {
  if (format.encoding === "opus") {
    if (!(speech instanceof Uint8Array)) throw new TypeError("samples, but the format is opus (need a Uint8Array, one packet)");
    yield { payload: speech, samples: opusSamples(speech) };
    return;
  }
  const unit = speech instanceof Uint8Array ? 2 * format.channels : format.channels; // of one sample of each channel
  if (speech.length % unit !== 0) {
    const kind = speech instanceof Uint8Array ? "bytes of 16-bit PCM" : "samples";
    throw new RangeError(`${speech.length} ${kind} (need a multiple of ${unit} for ${format.channels} channels)`);
  }
  const step = Math.floor(format.rate / MESSAGE_RATE) * unit;
  for (let at = 0; at < speech.length; at += step) {
    const part = speech.subarray(at, at + step);
    const pcm = part instanceof Float32Array ? toPcm16(part) : part;
    yield { payload: pcm instanceof Uint8Array ? pcm : pcmBytes(pcm), samples: part.length / unit };
  }
}
