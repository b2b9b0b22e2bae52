/** Decodes the pictures of a stream: H264 (Annex B) by WebCodecs, JPEG, PNG and WebP by the browser's image decoder. */

import type { Media } from "./messages.js";

/** A picture that can be drawn; `close` frees it. */
export interface Decoded {
  pts: number;
  image: VideoFrame | ImageBitmap;
}

export interface PictureDecoder {
  push(media: Media): void;
  close(): void;
}

const UNIT_US = 1_000_000 / 16_000; // microseconds of a unit of media time

/** Baseline at level 3.1, where a stream's parameter sets do not tell the codec. */
const FALLBACK_CODEC = "avc1.42e01f";

/** Tells whether this browser decodes H264 by WebCodecs. */
export async function decodesH264(): Promise<boolean> {
  if (typeof VideoDecoder !== "function") return false;
  const answer = await VideoDecoder.isConfigSupported({ codec: FALLBACK_CODEC }).catch(() => undefined);
  return answer?.supported === true;
}

/** Reads the codec (RFC 6381, `avc1.PPCCLL`) from the sequence parameter set of an access unit. */
export function codecOf(unit: Uint8Array): string | undefined {
  for (let i = 0; i + 6 < unit.length; i += 1) {
    const isStart = unit[i] === 0 && unit[i + 1] === 0 && unit[i + 2] === 1;
    if (!isStart || ((unit[i + 3] as number) & 31) !== 7) continue;
    const profile = [...unit.subarray(i + 4, i + 7)].map((byte) => byte.toString(16).padStart(2, "0"));
    return `avc1.${profile.join("")}`;
  }
  return undefined;
}

export class H264Decoder implements PictureDecoder {
  #decoder: VideoDecoder;
  #codec = "";

  constructor(
    private readonly show: (picture: Decoded) => void,
    private readonly failed: (error: Error) => void,
  ) {
    this.#decoder = this.#make();
  }

  push(media: Media): void {
    if (media.keyframe) this.#configure(codecOf(media.data) ?? FALLBACK_CODEC);
    if (this.#decoder.state !== "configured") return; // nothing can be decoded before a key frame
    const type = media.keyframe ? "key" : "delta";
    const timestamp = Math.round(media.pts * UNIT_US);
    this.#decoder.decode(new EncodedVideoChunk({ type, timestamp, data: media.data as Uint8Array<ArrayBuffer> }));
  }

  close(): void {
    if (this.#decoder.state !== "closed") this.#decoder.close();
  }

  #configure(codec: string): void {
    if (this.#decoder.state === "closed") this.#decoder = this.#make();
    else if (this.#decoder.state === "configured" && codec === this.#codec) return;
    this.#codec = codec;
    this.#decoder.configure({ codec, optimizeForLatency: true });
  }

  #make(): VideoDecoder {
    return new VideoDecoder({
      output: (image) => this.show({ pts: Math.round(image.timestamp / UNIT_US), image }),
      error: (error) => this.failed(error),
    });
  }
}

export class ImageDecoder implements PictureDecoder {
  #isClosed = false;
  #last: Promise<void> = Promise.resolve();

  constructor(
    private readonly show: (picture: Decoded) => void,
    private readonly failed: (error: Error) => void,
  ) {}

  /** Decodes a picture. They are shown in order, however long each takes. */
  push({ pts, data, kind }: Media): void {
    const decoded = createImageBitmap(new Blob([data as Uint8Array<ArrayBuffer>], { type: `image/${kind}` }));
    decoded.catch(() => undefined);
    this.#last = this.#last.then(async () => {
      try {
        const image = await decoded;
        if (this.#isClosed) image.close();
        else this.show({ pts, image });
      } catch (error) {
        this.failed(error as Error);
      }
    });
  }

  close(): void {
    this.#isClosed = true;
  }
}
