/** Plays fragmented MP4 of a stream by Media Source Extensions, for browsers without WebCodecs for H264. */

import { UnsupportedError } from "./errors.js";
import type { Media } from "./messages.js";
import type { Stream } from "./stream.js";

/** Stands for the H264 that the server may send; the init segment tells the profile. */
const BASELINE = "avc1.42e01f";

/** Seconds behind the newest fragment beyond which playback jumps forward. */
const MAX_LATENCY_S = 1;

/** Seconds behind the newest fragment after a jump. */
const TARGET_LATENCY_S = 0.25;

/** Seconds of played media that stay in the buffer. At twice as much the older half is removed. */
const HISTORY_S = 10;

/** Fragments that wait for the buffer: about 13 s. Full: playback fails, for none may be left out. */
const MAX_FRAGMENTS = 1024;

/** Tells whether this browser plays fragmented MP4. */
export function playsFmp4(): boolean {
  return typeof MediaSource === "function" && MediaSource.isTypeSupported(typeOf(BASELINE));
}

/** Reads the codec (RFC 6381) of an init segment: three bytes of its `avcC` (ISO 14496-15, 5.3.3.1). */
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

  /** Plays the `fmp4` that `stream` sends from now on. `failed` is called with the reason where playback fails. */
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
      if (this.#fragments.length > MAX_FRAGMENTS) this.#fail(new RangeError("the browser takes in no more video"));
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

  /** Appends the fragments that wait, up to the next init segment. */
  #feed(): void {
    const [first] = this.#fragments;
    if (this.#source.readyState !== "open" || this.#buffer?.updating || first === undefined) return;
    try {
      if (first.init) this.#start(first.data);
      if (this.#buffer === undefined || this.#trim(this.#buffer)) return;
      const next = this.#fragments.findIndex(({ init }, index) => init && index > 0);
      const parts = this.#fragments.splice(0, next < 0 ? this.#fragments.length : next);
      this.#buffer.appendBuffer(joined(parts));
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  /** Starts an MP4: the first, or one of another picture size. */
  #start(init: Uint8Array): void {
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

  /** Removes old media; true while that keeps the buffer busy. */
  #trim(buffer: SourceBuffer): boolean {
    const { buffered, currentTime } = this.video;
    if (buffered.length === 0 || currentTime - buffered.start(0) < 2 * HISTORY_S) return false;
    buffer.remove(buffered.start(0), currentTime - HISTORY_S);
    return true;
  }

  /** Jumps to the live edge where playback is far behind it. The first fragment does not begin at 0. */
  #keepUp(): void {
    const { buffered, currentTime } = this.video;
    if (buffered.length === 0) return;
    const begin = buffered.start(buffered.length - 1);
    const newest = buffered.end(buffered.length - 1);
    if (currentTime >= begin && newest - currentTime <= MAX_LATENCY_S) return;
    this.video.currentTime = Math.max(begin, newest - TARGET_LATENCY_S);
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
