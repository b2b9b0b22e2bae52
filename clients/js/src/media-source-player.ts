/** Fragmented MP4 of a stream, by Media Source Extensions: for browsers that decode no H264 otherwise. */

import { UnsupportedError } from "./errors.js";
import type { Stream } from "./stream.js";

/** H264 baseline and AAC-LC. */
export const FMP4_TYPE = 'video/mp4; codecs="avc1.42e01f,mp4a.40.2"';

/** Seconds behind the newest fragment, beyond which playing jumps forward. */
const MOST_BEHIND = 1;

/** And where it jumps to. */
const BEHIND = 0.25;

/** Seconds of what was played that are kept. */
const KEPT = 10;

/** Fragments that wait for the buffer: a few seconds. Full: playing has failed, for an MP4 with a hole is none. */
const FRAGMENTS_KEPT = 256;

/** Whether this browser can. */
export function playsFmp4(): boolean {
  return typeof MediaSource === "function" && MediaSource.isTypeSupported(FMP4_TYPE);
}

export class MediaSourcePlayer {
  readonly #source = new MediaSource();
  readonly #url: string;
  readonly #fragments: Uint8Array[] = [];
  readonly #off: () => void;
  #buffer: SourceBuffer | undefined;

  /** Plays the `fmp4` that `stream` sends from now on. */
  constructor(
    private readonly video: HTMLVideoElement,
    stream: Pick<Stream, "on">,
    private readonly failed: (error: Error) => void = () => undefined,
  ) {
    if (!playsFmp4()) throw new UnsupportedError("this browser plays no fragmented MP4 (ask for jpeg)");
    this.#url = URL.createObjectURL(this.#source);
    video.src = this.#url;
    this.#source.addEventListener("sourceopen", () => this.#open(), { once: true });
    this.#off = stream.on("media", ({ kind, data }) => {
      if (kind !== "fmp4") return;
      this.#fragments.push(data);
      if (this.#fragments.length > FRAGMENTS_KEPT) this.#fail(new RangeError("the browser takes in no more video"));
      else this.#feed();
    });
  }

  close(): void {
    this.#off();
    this.#fragments.length = 0;
    this.video.removeAttribute("src");
    this.video.load();
    URL.revokeObjectURL(this.#url);
  }

  #open(): void {
    this.#buffer = this.#source.addSourceBuffer(FMP4_TYPE);
    this.#buffer.addEventListener("updateend", () => {
      this.#keepUp();
      this.#feed();
    });
    this.#feed();
  }

  #feed(): void {
    const buffer = this.#buffer;
    if (buffer === undefined || buffer.updating || this.#source.readyState !== "open") return;
    const buffered = this.video.buffered;
    const first = buffered.length > 0 ? buffered.start(0) : Infinity;
    try {
      if (this.video.currentTime - first > 2 * KEPT) buffer.remove(first, this.video.currentTime - KEPT);
      else if (this.#fragments[0] !== undefined) buffer.appendBuffer(this.#fragments.shift() as Uint8Array<ArrayBuffer>);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  /** Live: what lies far behind the newest is not played. */
  #keepUp(): void {
    const { buffered } = this.video;
    if (buffered.length === 0) return;
    const newest = buffered.end(buffered.length - 1);
    const isBefore = this.video.currentTime < buffered.start(buffered.length - 1);
    if (isBefore || newest - this.video.currentTime > MOST_BEHIND) {
      this.video.currentTime = Math.max(buffered.start(buffered.length - 1), newest - BEHIND);
    }
  }

  #fail(error: Error): void {
    this.#off();
    this.#fragments.length = 0;
    this.failed(error);
  }
}
