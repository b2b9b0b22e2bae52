/** Client of a MyTalk streamer. README.md has an example of each way to use it. */

// The types name those of WebRTC and of media elements, which a program for Node may not include.
/// <reference lib="dom" preserve="true" />

export { call, type CallOptions } from "./call.js";
export { CanvasPlayer } from "./canvas-player.js";
export { parseServer, SUBPROTOCOL, TOKEN_PREFIX, toText } from "./codec.js";
export type { Closed, Connection } from "./connection.js";
export * from "./errors.js";
export { MediaSourcePlayer, playsFmp4 } from "./media-source-player.js";
export type * from "./messages.js";
export { SPEECH_RATES } from "./messages.js";
export { Microphone, type MicrophoneOptions } from "./microphone.js";
export { packSpeech, unpackMedia, type SpeechPacket } from "./packets.js";
export { toPcm16 } from "./pcm.js";
export { Peer, type PeerEvents, type PeerState, type Reconnecting } from "./peer.js";
export type { PeerFigures } from "./peer-figures.js";
export { decodesH264 } from "./picture-decoder.js";
export type { OnBusy } from "./retry.js";
export {
  Client,
  Session,
  type ClientOptions,
  type Face,
  type Portrait,
  type Controls,
  type SessionDescription,
  type SessionOptions,
  type SessionState,
} from "./session.js";
export type { SignallingOptions } from "./signalling.js";
export type { OpenSocket, Socket, SocketEvents } from "./socket-types.js";
export type { SayOptions, Speech } from "./speech.js";
export { Stream, type StreamEvents, type StreamOptions } from "./stream.js";
export type { Token } from "./token.js";
export { watch, type WatchOptions } from "./whep.js";
export { publish, type PublishOptions } from "./whip.js";
