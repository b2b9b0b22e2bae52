/** Plays a stream's media on a canvas and the loudspeaker: a picture is drawn when the sound of its time is heard. */

import type { Media, MediaKind } from "./messages.js";
import { H264Decoder, ImageDecoder, type Decoded, type PictureDecoder } from "./picture-decoder.js";
import { SoundPlayer } from "./sound-player.js";
import type { Stream } from "./stream.js";

/** Decoded pictures that wait for their time. Full: the oldest is dropped. */
const MAX_PICTURES = 30;

const UNITS_PER_MS = 16; // of media time, which counts samples at 16 kHz

export class CanvasPlayer {
  readonly sound = new SoundPlayer();
  /** Pictures drawn so far. */
  drawn = 0;
  readonly #context: CanvasRenderingContext2D | null;
  readonly #decodedPictures: Decoded[] = [];
  readonly #off: (() => void)[];
  #decoder: { kind: string; decoder: PictureDecoder } | undefined;
  #shown: number | undefined; // media time
  #frame = 0;

  /** Plays the pictures (all but `fmp4`) and the `pcm16` of `stream` from now on. `failed` is called for undecodable pictures. */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    stream: Stream,
    private readonly failed: (error: Error) => void = () => undefined,
  ) {
    this.#context = canvas.getContext("2d");
    this.#off = [
      stream.on("media", (media) => this.#push(media)),
      stream.on("playback.finished", ({ interrupted }) => interrupted && this.sound.clear()),
    ];
    this.#frame = requestAnimationFrame(() => this.#draw());
  }

  /** Milliseconds by which the sound that is heard is ahead of the picture that is seen; null before there are both. */
  get skewMs(): number | null {
    const { heard } = this.sound;
    return heard === undefined || this.#shown === undefined ? null : (heard - this.#shown) / UNITS_PER_MS;
  }

  /** Milliseconds that the newest sound waits before it is heard; null before there is any. */
  get waitMs(): number | null {
    const { heard, end } = this.sound;
    return heard === undefined ? null : (end - heard) / UNITS_PER_MS;
  }

  close(): void {
    cancelAnimationFrame(this.#frame);
    for (const off of this.#off) off();
    this.#decoder?.decoder.close();
    for (const { image } of this.#decodedPictures.splice(0)) image.close();
    this.sound.close();
  }

  #push(media: Media): void {
    if (media.kind === "audio") this.sound.push(media);
    else if (media.kind !== "fmp4") this.#decoderOf(media.kind).push(media);
  }

  #decoderOf(kind: Exclude<MediaKind, "audio" | "fmp4">): PictureDecoder {
    if (this.#decoder?.kind !== kind) {
      this.#decoder?.decoder.close();
      const made = kind === "h264" ? H264Decoder : ImageDecoder;
      this.#decoder = { kind, decoder: new made((picture) => this.#decoded(picture), this.failed) };
    }
    return this.#decoder.decoder;
  }

  #decoded(picture: Decoded): void {
    this.#decodedPictures.push(picture);
    if (this.#decodedPictures.length > MAX_PICTURES) this.#decodedPictures.shift()?.image.close();
  }

  #draw(): void {
    this.#frame = requestAnimationFrame(() => this.#draw());
    const due = this.sound.heard ?? Infinity; // without sound a picture is due when it comes
    let newest: Decoded | undefined;
    while (this.#decodedPictures[0] !== undefined && this.#decodedPictures[0].pts <= due) {
      newest?.image.close();
      newest = this.#decodedPictures.shift();
    }
    if (newest === undefined) return;
    const { image, pts } = newest;
    const [width, height] = "displayWidth" in image ? [image.displayWidth, image.displayHeight] : [image.width, image.height];
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    this.#context?.clearRect(0, 0, width, height); // what is transparent lets the last picture through otherwise
    this.#context?.drawImage(image, 0, 0);
    image.close();
    this.#shown = pts;
    this.drawn += 1;
  }
}
