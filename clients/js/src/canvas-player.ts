/** A stream's media on a canvas and the loudspeaker: each picture is drawn when the sound of its time is heard. */

import type { Media } from "./messages.js";
import { H264Decoder, JpegDecoder, type Decoded, type PictureDecoder } from "./picture-decoder.js";
import { SoundPlayer } from "./sound-player.js";
import type { Stream } from "./stream.js";

/** Decoded pictures that wait for their time. Full: the oldest is drawn no more. */
const PICTURES_KEPT = 30;

const MEDIA_MS = 16; // of media time's unit in a millisecond

export class CanvasPlayer {
  readonly sound = new SoundPlayer();
  /** Pictures drawn so far. */
  drawn = 0;
  readonly #brush: CanvasRenderingContext2D | null;
  readonly #waiting: Decoded[] = [];
  readonly #off: (() => void)[];
  #decoder: { kind: string; decoder: PictureDecoder } | undefined;
  #shown: number | undefined; // media time
  #frame = 0;

  /** Plays what `stream` sends from now on: `h264` or `jpeg`, and `pcm16`. `failed` hears of pictures that are none. */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    stream: Stream,
    private readonly failed: (error: Error) => void = () => undefined,
  ) {
    this.#brush = canvas.getContext("2d");
    this.#off = [
      stream.on("media", (media) => this.#push(media)),
      stream.on("playback.finished", ({ interrupted }) => interrupted && this.sound.clear()),
    ];
    this.#frame = requestAnimationFrame(() => this.#draw());
  }

  /** Milliseconds by which the sound that is heard is ahead of the picture that is seen; null before both are there. */
  get skewMs(): number | null {
    const { heard } = this.sound;
    return heard === undefined || this.#shown === undefined ? null : (heard - this.#shown) / MEDIA_MS;
  }

  /** Milliseconds that the newest sound waits before it is heard; null before there is any. */
  get waitMs(): number | null {
    const { heard, end } = this.sound;
    return heard === undefined ? null : (end - heard) / MEDIA_MS;
  }

  close(): void {
    cancelAnimationFrame(this.#frame);
    for (const off of this.#off) off();
    this.#decoder?.decoder.close();
    for (const { image } of this.#waiting.splice(0)) image.close();
    this.sound.close();
  }

  #push(media: Media): void {
    if (media.kind === "audio") this.sound.push(media);
    else if (media.kind !== "fmp4") this.#decoderOf(media.kind).push(media);
  }

  #decoderOf(kind: "h264" | "jpeg"): PictureDecoder {
    if (this.#decoder?.kind !== kind) {
      this.#decoder?.decoder.close();
      const made = kind === "h264" ? H264Decoder : JpegDecoder;
      this.#decoder = { kind, decoder: new made((picture) => this.#decoded(picture), this.failed) };
    }
    return this.#decoder.decoder;
  }

  #decoded(picture: Decoded): void {
    this.#waiting.push(picture);
    if (this.#waiting.length > PICTURES_KEPT) this.#waiting.shift()?.image.close();
  }

  #draw(): void {
    this.#frame = requestAnimationFrame(() => this.#draw());
    const due = this.sound.heard ?? Infinity; // without sound a picture is due when it comes
    let newest: Decoded | undefined;
    while (this.#waiting[0] !== undefined && this.#waiting[0].pts <= due) {
      newest?.image.close();
      newest = this.#waiting.shift();
    }
    if (newest === undefined) return;
    const { image, pts } = newest;
    const [width, height] = "displayWidth" in image ? [image.displayWidth, image.displayHeight] : [image.width, image.height];
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    this.#brush?.drawImage(image, 0, 0);
    image.close();
    this.#shown = pts;
    this.drawn += 1;
  }
}
