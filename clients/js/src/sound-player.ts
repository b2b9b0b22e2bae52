/** Plays the sound of a stream. Pictures follow its clock. */

import type { Media } from "./messages.js";
import { pcmSamples } from "./pcm.js";

const RATE = 48_000;

/** Media time: samples at 16 kHz. */
const MEDIA_RATE = 16_000;

/** Seconds from receiving to hearing: the jitter buffer. */
const JITTER_BUFFER_S = 0.12;

/** A larger gap in media time resets the clock. */
const MAX_GAP = MEDIA_RATE / 2;

export class SoundPlayer {
  readonly context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
  readonly #playing = new Set<AudioBufferSourceNode>();
  #next = 0; // media time of the next sample
  #origin: number | undefined; // seconds of the context at which media time 0 would be heard

  /** Starts the clock. Browsers allow it only after a user gesture: call it from a click. */
  async start(): Promise<void> {
    await this.context.resume();
  }

  /** Schedules the next 20 ms: 48 kHz, stereo. */
  push({ pts, data }: Media): void {
    const samples = pcmSamples(data);
    const buffer = this.context.createBuffer(2, samples.length / 2, RATE);
    for (const channel of [0, 1]) {
      const target = buffer.getChannelData(channel);
      for (let i = 0; i < target.length; i += 1) target[i] = (samples[2 * i + channel] as number) / 32768;
    }
    const now = this.context.currentTime;
    const due = this.#origin === undefined ? 0 : this.#origin + pts / MEDIA_RATE;
    if (this.#origin === undefined || due < now || Math.abs(pts - this.#next) > MAX_GAP) {
      this.#origin = now + JITTER_BUFFER_S - pts / MEDIA_RATE;
    }
    this.#next = pts + buffer.length / (RATE / MEDIA_RATE);
    const source = new AudioBufferSourceNode(this.context, { buffer });
    source.connect(this.context.destination);
    source.onended = () => this.#playing.delete(source);
    this.#playing.add(source);
    source.start(this.#origin + pts / MEDIA_RATE);
  }

  /** Media time that is being heard; undefined before there is any. */
  get heard(): number | undefined {
    if (this.#origin === undefined) return undefined;
    const latency = this.context.outputLatency || this.context.baseLatency || 0;
    return (this.context.currentTime - latency - this.#origin) * MEDIA_RATE;
  }

  /** Media time of the end of the sound received so far. */
  get end(): number {
    return this.#next;
  }

  /** Barge-in: drops the sound that is scheduled. */
  clear(): void {
    for (const source of this.#playing) source.stop();
    this.#playing.clear();
  }

  close(): void {
    this.clear();
    if (this.context.state !== "closed") void this.context.close();
  }
}
