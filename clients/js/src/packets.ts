/** Packs and unpacks binary messages: a header of 16 bytes, little endian, and a payload (see PROTOCOL.md). */

import { ProtocolError } from "./errors.js";
import type { Media, MediaKind } from "./messages.js";

export const HEADER_BYTES = 16;

const KEYFRAME = 1;
const INIT = 2;
const TIMED = 4;

const SPEECH_KINDS = { pcm16: 1, opus: 2 } as const;
const MEDIA_KINDS: Record<number, MediaKind> = { 16: "audio", 17: "h264", 18: "jpeg", 19: "fmp4", 20: "png", 21: "webp" };

/** Speech to the server. */
export interface SpeechPacket {
  encoding: "pcm16" | "opus";
  generation: number;
  /** Samples of a channel since its generation or its format began; or media time, where it is `timed`. */
  pts: number;
  payload: Uint8Array;
  /** Marks speech that belongs to the picture of media time `pts`. */
  timed?: boolean;
}

/** Packs speech. Throws `RangeError` for numbers that the header cannot hold. */
export function packSpeech({ encoding, generation, pts, payload, timed = false }: SpeechPacket): Uint8Array {
  if (!Number.isSafeInteger(pts) || pts < 0) throw new RangeError(`pts is ${pts} (need 0 to 2^53 - 1)`);
  if (generation !== generation >>> 0) throw new RangeError(`generation is ${generation} (need 0 to 2^32 - 1)`);
  if (payload.length === 0) throw new RangeError("a packet without speech (need at least a sample)");
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  const header = new DataView(bytes.buffer);
  header.setUint8(0, SPEECH_KINDS[encoding]);
  header.setUint8(1, timed ? TIMED : 0);
  header.setUint32(4, generation, true);
  header.setBigUint64(8, BigInt(pts), true);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}

/** Unpacks media. The payload is a view of `bytes`. Throws `ProtocolError`. */
export function unpackMedia(bytes: Uint8Array): Media {
  if (bytes.length <= HEADER_BYTES) {
    throw new ProtocolError("bad_packet", `${bytes.length} bytes (need a header of ${HEADER_BYTES} and a payload)`);
  }
  const header = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const kind = MEDIA_KINDS[header.getUint8(0)];
  if (kind === undefined) {
    throw new ProtocolError("bad_packet", `kind ${header.getUint8(0)} is not the server's (need 16 to 21)`);
  }
  const flags = header.getUint8(1);
  const pts = header.getBigUint64(8, true);
  if (flags & ~(KEYFRAME | INIT) || header.getUint16(2, true) !== 0 || pts > Number.MAX_SAFE_INTEGER) {
    throw new ProtocolError("bad_packet", "the header has flags or values that this version does not know");
  }
  return {
    type: "media",
    kind,
    generation: header.getUint32(4, true),
    pts: Number(pts),
    data: bytes.subarray(HEADER_BYTES),
    keyframe: (flags & KEYFRAME) !== 0,
    init: (flags & INIT) !== 0,
  };
}
