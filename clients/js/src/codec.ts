/** Parses and writes messages of `mytalk.v1`. Sans-IO: no socket, no clock. */

import { fromBase64, toBase64 } from "./base64.js";
import { ProtocolError } from "./errors.js";
import type { ClientMessage, ServerMessage } from "./messages.js";
import { unpackMedia } from "./packets.js";

export const SUBPROTOCOL = "mytalk.v1";

/** A browser cannot set headers: it offers this and its token as a second subprotocol. */
export const TOKEN_PREFIX = "mytalk.token.";

/** Parses a message of the server. Throws `ProtocolError`; code `unknown_type` means a message to ignore. */
export function parseServer(data: string | Uint8Array): ServerMessage {
  return typeof data === "string" ? parseText(data) : unpackMedia(data);
}

/** Writes a message as JSON, with bytes as base64. */
export function toText(message: ClientMessage | ServerMessage): string {
  return JSON.stringify(message, (_, value: unknown) => (value instanceof Uint8Array ? toBase64(value) : value));
}

/** Tells whether both sides count messages of this type, so that resuming repeats them. Packets are counted. */
export function isCounted(type: string): boolean {
  return !UNCOUNTED.has(type);
}

const UNCOUNTED = new Set(["session.created", "session.resumed", "ping", "pong", "ack"]);

type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === "string";
const flag: Check = (value) => typeof value === "boolean";
const count: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const object: Check = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const limits: Check = (value) =>
  object(value) &&
  ["message_bytes", "pause_ms", "buffer_ms", "resume_ms"].every((name) => count((value as Fields)[name]));
const among = (...values: string[]): Check => (value) => values.includes(value as string);

/** Fields that a message must have, and what they must be. Others may come and are kept. */
const NEEDED: { [T in ServerMessage["type"]]: Record<string, Check> } = {
  "session.created": {
    session_id: text,
    generation: count,
    output: object,
    controls: object,
    limits,
    disclosure: text,
  },
  "session.resumed": { session_id: text, received: count, generation: count },
  "session.updated": {},
  "session.ended": { reason: text },
  "speech.committed": { utterance: count, length: count },
  "speech.dropped": { samples: count, generation: count },
  "speech.late": { dropped_ms: count },
  "face.lost": { reason: among("none", "small", "turned") },
  "face.found": { lost_ms: count },
  "face.changed": { pts: count },
  warning: { code: among("b_frames", "keyframe_interval"), message: text },
  "camera.left": { reason: among("silent", "gone") },
  "camera.back": { away_ms: count },
  "playback.started": { utterance: count, pts: count, generation: count },
  "playback.finished": { position: count, interrupted: flag, generation: count },
  "output.dropped": { pictures: count },
  media: { kind: among("audio", "h264", "jpeg", "fmp4", "png", "webp"), generation: count, pts: count, data: text },
  error: { code: text, message: text },
  ack: { received: count, buffered_ms: count },
  pong: {},
};

type Fields = Record<string, unknown>;

function parseText(data: string): ServerMessage {
  let fields: Fields;
  try {
    fields = JSON.parse(data) as Fields;
  } catch (cause) {
    throw new ProtocolError("bad_json", `the message is not JSON (${String(cause).slice(0, 80)})`);
  }
  if (!object(fields)) throw new ProtocolError("bad_message", "the message is not a JSON object (need one with a type)");
  const type = fields["type"];
  if (typeof type !== "string" || !Object.hasOwn(NEEDED, type)) {
    throw new ProtocolError("unknown_type", `type ${JSON.stringify(type)?.slice(0, 40)} is unknown`);
  }
  for (const [name, fits] of Object.entries(NEEDED[type as ServerMessage["type"]])) {
    if (!fits(fields[name])) {
      const given = JSON.stringify(fields[name])?.slice(0, 40);
      throw new ProtocolError("bad_message", `${type}: ${name} is ${given} (see PROTOCOL.md)`);
    }
  }
  if (type === "media") return media(fields);
  if (type === "error") return { fatal: false, ...fields } as unknown as ServerMessage;
  return fields as unknown as ServerMessage;
}

function media(fields: Fields): ServerMessage {
  try {
    const data = fromBase64(fields["data"] as string);
    return { keyframe: false, init: false, ...fields, data } as unknown as ServerMessage;
  } catch {
    throw new ProtocolError("bad_message", "media: data is not base64");
  }
}
