/** A microphone as samples, captured by an AudioWorklet. */

import { UnsupportedError } from "./errors.js";
import { Queue } from "./queue.js";
import { SPEECH_RATES, type SpeechRate } from "./messages.js";
import type { Stream } from "./stream.js";

export interface MicrophoneOptions {
  /** Samples a second. */
  rate?: SpeechRate;
  /** The source; left out: asks for the default microphone, without echo. The caller stops the tracks of its own. */
  media?: MediaStream;
  /** URL of `microphone-worklet.js` of this package. Left out: beside this module. */
  worklet?: string | URL;
  signal?: AbortSignal;
}

/** Chunks of 20 ms that wait for a reader: 4 s. Full: the oldest is dropped, for speech that late is no use live. */
const MAX_CHUNKS = 200;

/**
 * An async iterable of mono chunks of 20 ms, until `stop`.
 *
 *     const microphone = await Microphone.open();
 *     await microphone.speakInto(stream);
 */
export class Microphone implements AsyncIterable<Int16Array> {
  readonly #chunks = new Queue<Int16Array>(MAX_CHUNKS, "drop-oldest");

  private constructor(
    readonly media: MediaStream,
    readonly rate: SpeechRate,
    private readonly context: AudioContext,
    private readonly ownsMedia: boolean,
  ) {}

  /** Throws the browser's own `NotAllowedError` or `NotFoundError` where none may be used. */
  static async open(options: MicrophoneOptions = {}): Promise<Microphone> {
    const { rate = 48_000, signal, worklet = new URL("./microphone-worklet.js", import.meta.url) } = options;
    if (!SPEECH_RATES.includes(rate)) throw new RangeError(`rate ${rate} (need one of ${SPEECH_RATES.join(", ")})`);
    if (typeof AudioWorkletNode !== "function") {
      throw new UnsupportedError("no AudioWorklet (it needs a browser, and https: or localhost in the address)");
    }
    signal?.throwIfAborted();
    const media = options.media ?? (await navigator.mediaDevices.getUserMedia({ audio: CONSTRAINTS }));
    const microphone = new Microphone(media, rate, new AudioContext({ sampleRate: rate }), options.media === undefined);
    try {
      await microphone.#capture(worklet);
      signal?.throwIfAborted();
    } catch (error) {
      microphone.stop();
      throw error;
    }
    signal?.addEventListener("abort", () => microphone.stop(), { once: true });
    return microphone;
  }

  /** Sends all that it captures, until it is stopped or the stream is over. The stream's format must be its own. */
  async speakInto(stream: Stream): Promise<void> {
    for await (const chunk of this) await stream.say(chunk);
  }

  [Symbol.asyncIterator](): AsyncIterator<Int16Array> {
    return this.#chunks;
  }

  stop(): void {
    this.#chunks.end();
    if (this.ownsMedia) for (const track of this.media.getTracks()) track.stop();
    if (this.context.state !== "closed") void this.context.close();
  }

  async #capture(worklet: string | URL): Promise<void> {
    await this.context.audioWorklet.addModule(worklet);
    const node = new AudioWorkletNode(this.context, "mytalk-microphone", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }: MessageEvent<Int16Array>) => this.#chunks.push(data);
    this.context.createMediaStreamSource(this.media).connect(node);
    await this.context.resume();
  }
}

const CONSTRAINTS: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: true, channelCount: 1 };
