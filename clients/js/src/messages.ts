/** The messages of `mytalk.v1`, named as on the wire (PROTOCOL.md): discriminated unions by `type`. */

export type Scalar = string | number | boolean | null;

/** Format of speech. PCM: 16 bit, interleaved. Opus: one packet (RFC 6716) a message, 48 kHz. */
export interface SpeechFormat {
  encoding: "pcm16" | "opus";
  rate: SpeechRate;
  channels: 1 | 2;
}

export const SPEECH_RATES = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000] as const;

export type SpeechRate = (typeof SPEECH_RATES)[number];

/** Media that the server sends. `fmp4` carries picture and sound together. */
export interface Output {
  audio: "none" | "pcm16";
  video: "none" | "h264" | "jpeg" | "fmp4" | "png" | "webp";
  form: "binary" | "json";
}

export interface Limits {
  message_bytes: number;
  /** Buffered speech beyond which the server stops reading. */
  pause_ms: number;
  /** Buffered speech beyond which it refuses more. */
  buffer_ms: number;
  /** Time for which a broken stream can be resumed. */
  resume_ms: number;
}

// --- client to server

interface Named {
  event_id?: string;
}

export interface SessionUpdate extends Named {
  type: "session.update";
  speech?: Omit<SpeechFormat, "channels"> & { channels?: 1 | 2 };
  output?: Partial<Output>;
  controls?: Record<string, Scalar>;
}

/** Speech as base64: the same as a packet. This package sends packets. */
export interface SpeechAppend extends Named {
  type: "speech.append";
  audio: Uint8Array;
  generation?: number;
  pts?: number;
  /** Media time of the picture that it belongs to; then without `pts`. */
  at?: number;
}

export interface SpeechCommit extends Named {
  type: "speech.commit";
}

export interface SpeechClear extends Named {
  type: "speech.clear";
}

export interface SessionEnd extends Named {
  type: "session.end";
}

export interface Ping {
  type: "ping";
  data?: string;
}

export interface ClientAck {
  type: "ack";
  received: number;
}

export type ClientMessage =
  | SessionUpdate
  | SpeechAppend
  | SpeechCommit
  | SpeechClear
  | SessionEnd
  | Ping
  | ClientAck;

// --- server to client

export interface SessionCreated {
  type: "session.created";
  session_id: string;
  generation: number;
  output: Output;
  controls: Record<string, Scalar>;
  limits: Limits;
  disclosure: string;
}

export interface SessionResumed {
  type: "session.resumed";
  session_id: string;
  received: number;
  generation: number;
}

export interface SessionUpdated extends Named {
  type: "session.updated";
  speech?: SpeechFormat;
  output?: Output;
  controls?: Record<string, Scalar>;
  /** Media time (16 kHz) from which a change of controls fades in, over 120 ms. */
  pts?: number;
  /** Overload level of the server; `full`: nothing is reduced. */
  rung?: string;
  pictures?: string;
  at_ms?: number;
}

export interface SpeechCommitted extends Named {
  type: "speech.committed";
  utterance: number;
  /** Samples at 16 kHz. */
  length: number;
}

export interface SpeechDropped extends Named {
  type: "speech.dropped";
  samples: number;
  generation: number;
}

/** Speech came after its picture, of media time `pts`, had left: `dropped_ms` of its beginning were cut. */
export interface SpeechLate {
  type: "speech.late";
  dropped_ms: number;
  pts?: number;
  at_ms?: number;
}

/**
 * No usable face was in the pictures of the last two seconds, so they come untouched. `none`: not found, or covered;
 * `small`: fewer pixels than the mouth needs; `turned`: too far aside.
 */
export interface FaceLost {
  type: "face.lost";
  reason: "none" | "small" | "turned";
  at_ms?: number;
}

/** A usable face is back, after `lost_ms`. */
export interface FaceFound {
  type: "face.found";
  lost_ms: number;
  at_ms?: number;
}

/** The face that was brought in last is all that is seen from media time `pts` on. */
export interface FaceChanged {
  type: "face.changed";
  pts: number;
  at_ms?: number;
}

/** What the publisher's encoder should do otherwise: `message` says what to set. The session goes on. */
export interface WarningMessage {
  type: "warning";
  code: "b_frames" | "keyframe_interval";
  message: string;
  at_ms?: number;
}

/**
 * The camera has sent no picture for two seconds. `silent`: its connection lives, as that of a page in the background;
 * `gone`: it does not.
 */
export interface CameraLeft {
  type: "camera.left";
  reason: "silent" | "gone";
  at_ms?: number;
}

/** The camera sends pictures again, after `away_ms`. */
export interface CameraBack {
  type: "camera.back";
  away_ms: number;
  at_ms?: number;
}

export interface PlaybackStarted {
  type: "playback.started";
  utterance: number;
  pts: number;
  generation: number;
  at_ms?: number;
}

export interface PlaybackFinished extends Named {
  type: "playback.finished";
  /** Samples at 16 kHz of the utterance that were heard. */
  position: number;
  interrupted: boolean;
  generation: number;
  utterance?: number;
  at_ms?: number;
}

export interface OutputDropped {
  type: "output.dropped";
  pictures: number;
}

/** Sound or a picture, received as a packet or as JSON. */
export interface Media {
  type: "media";
  kind: MediaKind;
  generation: number;
  /** Media time: samples at 16 kHz since the session began. */
  pts: number;
  data: Uint8Array;
  keyframe: boolean;
  init: boolean;
}

export type MediaKind = "audio" | "h264" | "jpeg" | "fmp4" | "png" | "webp";

export interface SessionEnded {
  type: "session.ended";
  reason: string;
}

export interface ErrorMessage extends Named {
  type: "error";
  code: string;
  message: string;
  fatal: boolean;
  count?: number;
  at_ms?: number;
}

export interface ServerAck {
  type: "ack";
  received: number;
  buffered_ms: number;
}

export interface Pong {
  type: "pong";
  data?: string;
}

export type ServerMessage =
  | SessionCreated
  | SessionResumed
  | SessionUpdated
  | SpeechCommitted
  | SpeechDropped
  | SpeechLate
  | FaceLost
  | FaceFound
  | FaceChanged
  | WarningMessage
  | CameraLeft
  | CameraBack
  | PlaybackStarted
  | PlaybackFinished
  | OutputDropped
  | Media
  | SessionEnded
  | ErrorMessage
  | ServerAck
  | Pong;

/** The messages that iterating over a stream gives: all but media and bookkeeping. */
export type StreamEvent = Exclude<ServerMessage, Media | ServerAck | Pong>;

/** A message by its `type`. */
export type Of<T extends ServerMessage["type"]> = Extract<ServerMessage, { type: T }>;
