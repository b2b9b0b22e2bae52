/** Fragmented MP4 of a stream, by Media Source Extensions: for browsers that decode no H264 otherwise. */

import { UnsupportedError } from "./errors.js";
import type { Media } from "./messages.js";
import type { Stream } from "./stream.js";

/** H264 of any profile that the server may send; what it is, the MP4's beginning says. */
const BASELINE = "avc1.42e01f";

/** Seconds behind the newest fragment, beyond which playing jumps forward. */
const MOST_BEHIND = 1;

/** And where it jumps to. */
const BEHIND = 0.25;

/** Seconds of what was played that are kept: twice as much, and half of it goes. */
const KEPT = 10;

/** Fragments that wait for the buffer: about 13 s. Full: playing has failed, for an MP4 with a hole is none. */
const FRAGMENTS_KEPT = 1024;

/** Whether this browser can. */
export function playsFmp4(): boolean {
  return typeof MediaSource === "function" && MediaSource.isTypeSupported(typeOf(BASELINE));
}

/** The codec that a beginning names: three bytes of its `avcC` (ISO 14496-15, 5.3.3.1), as RFC 6381 writes them. */
export function codecOfInit(init: Uint8Array): string | undefined {
  for (let i = 0; i + 8 <= init.length; i += 1) {
    if (String.fromCharCode(...init.subarray(i, i + 4)) !== "avcC") continue;
    const profile = [...init.subarray(i + 5, i + 8)].map((byte) => byte.toString(16).padStart(2, "0"));
    return `avc1.${profile.join("")}`;
  }
  return undefined;
}

export class MediaSourcePlayer {
  readonly #source = new MediaSource();
  readonly #url: string;
  readonly #fragments: Media[] = [];
  readonly #off: () => void;
  #buffer: SourceBuffer | undefined;

  /** Plays the `fmp4` that `stream` sends from now on. `failed` hears why it cannot go on. */
  constructor(
    private readonly video: HTMLVideoElement,
    stream: Pick<Stream, "on">,
    private readonly failed: (error: Error) => void = () => undefined,
  ) {
    if (!playsFmp4()) throw new UnsupportedError("this browser plays no fragmented MP4 (ask for jpeg)");
    this.#url = URL.createObjectURL(this.#source);
    video.srcObject = null;
    video.src = this.#url;
    this.#source.addEventListener("sourceopen", () => this.#feed(), { once: true });
    this.#off = stream.on("media", (media) => {
      if (media.kind !== "fmp4") return;
      this.#fragments.push(media);
      if (this.#fragments.length > FRAGMENTS_KEPT) this.#fail(new RangeError("the browser takes in no more video"));
      else this.#feed();
    });
  }

  /** Milliseconds of video that wait to be seen; null before there is any. */
  get waitMs(): number | null {
    const { buffered, currentTime } = this.video;
    return buffered.length === 0 ? null : 1000 * (buffered.end(buffered.length - 1) - currentTime);
  }

  close(): void {
    this.#off();
    this.#fragments.length = 0;
    this.video.removeAttribute("src");
    this.video.load();
    URL.revokeObjectURL(this.#url);
  }

  /** Gives the buffer what waits, up to another beginning. */
  #feed(): void {
    const [first] = this.#fragments;
    if (this.#source.readyState !== "open" || this.#buffer?.updating || first === undefined) return;
    try {
      if (first.init) this.#begin(first.data);
      if (this.#buffer === undefined || this.#forget(this.#buffer)) return;
      const next = this.#fragments.findIndex(({ init }, index) => init && index > 0);
      const parts = this.#fragments.splice(0, next < 0 ? this.#fragments.length : next);
      this.#buffer.appendBuffer(joined(parts));
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  /** An MP4 begins: the first, or one of another size. */
  #begin(init: Uint8Array): void {
    const type = typeOf(codecOfInit(init) ?? BASELINE);
    if (this.#buffer !== undefined) {
      this.#buffer.changeType(type);
      return;
    }
    this.#buffer = this.#source.addSourceBuffer(type);
    this.#buffer.addEventListener("updateend", () => {
      this.#keepUp();
      this.#feed();
    });
  }

  /** Whether the buffer is busy forgetting what was played long ago. */
  #forget(buffer: SourceBuffer): boolean {
    const { buffered, currentTime } = this.video;
    if (buffered.length === 0 || currentTime - buffered.start(0) < 2 * KEPT) return false;
    buffer.remove(buffered.start(0), currentTime - KEPT);
    return true;
  }

  /** Live: what lies far behind the newest is not played. A session is older than its stream: it does not begin at 0. */
  #keepUp(): void {
    const { buffered, currentTime } = this.video;
    if (buffered.length === 0) return;
    const begin = buffered.start(buffered.length - 1);
    const newest = buffered.end(buffered.length - 1);
    if (currentTime >= begin && newest - currentTime <= MOST_BEHIND) return;
    this.video.currentTime = Math.max(begin, newest - BEHIND);
  }

  #fail(error: Error): void {
    this.#off();
    this.#fragments.length = 0;
    this.failed(error);
  }
}

function typeOf(codec: string): string {
  return `video/mp4; codecs="${codec},mp4a.40.2"`;
}

function joined(parts: Media[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { data }) => sum + data.length, 0));
  let at = 0;
  for (const { data } of parts) {
    whole.set(data, at);
    at += data.length;
  }
  return whole;
}
