/** Creates sessions over HTTP, and opens their streams and WebRTC connections. */

import { call, type CallOptions } from "./call.js";
import { HttpError } from "./errors.js";
import type { PlaybackFinished } from "./messages.js";
import type { Peer } from "./peer.js";
import { abortable } from "./promises.js";
import { request } from "./request.js";
import { whileBusy, type OnBusy } from "./retry.js";
import { Stream, type StreamOptions } from "./stream.js";
import { RenewedToken } from "./token.js";
import { watch, type WatchOptions } from "./whep.js";
import { publish, type PublishOptions } from "./whip.js";

/** Controls of a performance, at the start of a session and while it is live; `GET /v1/controls` has each one's range. */
export interface Controls {
  /** Same seed and same speech, same performance. Default 0. */
  seed?: number;
  /** Steps of sampling. Default: the preset's. */
  steps?: number;
  /** Which face speaks: the largest, or the one nearest to a point, in shares of the picture's sides; live, a text `x,y`. */
  face?: "largest" | readonly [number, number];
  /** Picture during silence: with a closed mouth (default), or untouched. */
  on_silence?: "close" | "passthrough";
  /** How far the lips open, 0 to 3 times. Default 1. */
  mouth_opening?: number;
  /** Strength of all motion, 0 to 2 times. Default 1. */
  motion_scale?: number;
  /** Strength of the lips' motion, 0 to 2 times. Default 1. */
  lip_weight?: number;
  /** Strength of the motion of jaw, chin and cheeks, 0 to 2 times. Default 1. */
  expression_weight?: number;
  /** Strength of a portrait's head motion, 0 to 3 times. Default 1. */
  pose_weight?: number;
  /** How readable the lips are: 0 mumbles, 0.5 (default) is as generated, 1 is clearest. */
  articulation?: number;
  /** `neutral` (default), `happy`, `sad`, `angry`, `surprised`, `disgusted`, `afraid`, or action units: `12=0.8,15=0.2`. */
  emotion?: string;
  /** Strength of the emotion, 0 to 1.5 times. Default 1. */
  intensity?: number;
  /** Shapes that the mouth passes through, `TIME:SHAPE:HOLD` in seconds, parted by blanks: `1.2:closed:0.2 2:smile:0.5`. */
  key_motions?: string;
  /** Of portraits: turns the head, `yaw,pitch,roll,across,down`, degrees and face widths. */
  head_pose?: string | readonly number[];
  /** Of portraits: how the head moves by itself. Default `calm`. */
  pose_preset?: "still" | "calm" | "lively" | "nod" | "shake";
  /** Of portraits: how far the head dips with stressed syllables, 0 to 3 times. Default 1. */
  pose_rhythm?: number;
  /** Of portraits: turns the eyes, `yaw,pitch` in degrees. */
  gaze?: string | readonly number[];
  /** Of portraits: blinks a minute as a text, or `now`. */
  blink?: string;
  /** Of portraits: raises the brows to 1, lowers them to -1. Default 0. */
  brows?: number;
}

/** Options of a new session: its controls, and what does not change. Left out: the server's defaults. */
export interface SessionOptions extends Controls {
  /** `portrait`: the server's picture; `live`: a camera. */
  source?: "live" | "portrait";
  /** `stream`: samples by WebSocket; `live`: a published microphone; `demo`: the server's sample. */
  speech?: "live" | "demo" | "stream";
  profile?: "low" | "balanced" | "quality";
  /** What leaves while a camera that was there sends nothing: the last picture, the last picture alive, or the end. */
  on_camera_left?: "hold" | "idle" | "end";
  /** Milliseconds by which a camera's pictures wait for speech that is dubbed. */
  video_delay?: number;
  /** The microphone is that of the person before the camera: the mouth adapts to how they speak. */
  own_speech?: boolean;
  /** A portrait or clip of the server's folder of faces, by its file name; left out: the server's own. */
  portrait?: string;
  /** What is behind the person of a portrait: its own, green, nothing (`png` and `webp`; green elsewhere), or an image. */
  background?: "own" | "green" | "transparent" | "image";
  /** Records it into the server's folder of recordings. */
  record?: boolean;
  /** Pushes it to a streaming server: a URL of RTMP or SRT. */
  push?: string;
}

/** A face to upload. */
export interface Portrait {
  /** PNG, JPEG, WebP or HEIC, at most 8 MiB, with one face seen from the front. */
  picture: Blob;
  /** Consent: who agreed, when (ISO 8601), and to what. A server may require it. */
  consent?: { who: string; when: string; purpose: string };
  /** What is to be seen behind the person instead: makes the option `background` `image`. */
  background?: Blob;
}

/** Another face of a session: an upload, a file of the server's folder of faces by its name, or the server's own. */
export type Face = Pick<Portrait, "picture" | "consent"> | { portrait?: string };

/** Answer of `POST /v1/sessions`. */
export interface SessionDescription {
  id: string;
  state: string;
  token: string;
  view_token?: string;
  /** Lifetime of the tokens in seconds. */
  expires_in?: number;
  urls: Record<string, string>;
  ice_servers: RTCIceServer[];
  disclosure: string;
}

/** State and statistics of a session. */
export interface SessionState {
  id: string;
  state: "new" | "live" | "draining" | "closed";
  untouched_because: string | null;
  stats: { age_ms: number; delay_ms?: number; pictures?: Record<string, number> } & Record<string, unknown>;
  events: unknown[];
}

export interface ClientOptions {
  /** Key of the server, where it requires one. */
  apiKey?: string;
  fetch?: typeof fetch;
  /** Milliseconds for which a busy server is asked again for a session, when it said to. Left out: 15 000; 0: once. */
  patienceMs?: number;
  /** Called before each such wait, to tell the user. What it throws ends the waiting. */
  onBusy?: OnBusy;
}

const PATIENCE_MS = 15_000;

/** A server. */
export class Client {
  readonly base: URL;
  readonly #headers: Record<string, string>;
  readonly #fetch: typeof fetch;
  readonly #patienceMs: number;
  readonly #onBusy: OnBusy | undefined;

  constructor(base: string | URL, options: ClientOptions = {}) {
    this.base = new URL(base);
    this.#headers = options.apiKey === undefined ? {} : bearer(options.apiKey);
    this.#fetch = options.fetch ?? ((...given) => fetch(...given));
    this.#patienceMs = options.patienceMs ?? PATIENCE_MS;
    this.#onBusy = options.onBusy;
  }

  /**
   * Creates a session. Throws `BusyError` where the server is full or not ready for longer than `patienceMs`. Aborted,
   * it ends a session that the server makes all the same.
   */
  async create(options: SessionOptions = {}, signal?: AbortSignal): Promise<Session> {
    return await this.#create(JSON.stringify(options), { "Content-Type": "application/json" }, signal);
  }

  /** Creates a session whose face is a picture. Throws `HttpError` of status 422 where no face is found in it. */
  async createWith(portrait: Portrait, options: SessionOptions = {}, signal?: AbortSignal): Promise<Session> {
    const { picture, consent, background } = portrait;
    const asked = { source: "portrait", ...options, ...(background && { background: "image" }), ...(consent && { consent }) };
    return await this.#create(formOf(asked, { portrait: picture, background }), {}, signal);
  }

  #create(body: BodyInit, kind: Record<string, string>, signal?: AbortSignal): Promise<Session> {
    return whileBusy(() => this.#createOnce(body, kind, signal), this.#patienceMs, { signal, onBusy: this.#onBusy });
  }

  async #createOnce(body: BodyInit, kind: Record<string, string>, signal?: AbortSignal): Promise<Session> {
    signal?.throwIfAborted();
    const url = new URL("/v1/sessions", this.base);
    const headers = { ...this.#headers, ...kind };
    const making = request(this.#fetch, url, { method: "POST", headers, body }).then(
      // A redirect (307) leads to the server that the session is on.
      async (response) => new Session((await response.json()) as SessionDescription, response.url || url, this.#fetch),
    );
    try {
      return await abortable(making, signal);
    } catch (error) {
      if (signal?.aborted) making.then((unused) => unused.end()).catch(() => undefined); // nobody waits for this
      throw error;
    }
  }
}

/**
 * One session, made from its description by `Client.create` or by hand. Once something of it was opened, its token is
 * renewed at half of its lifetime until the session has ended, for reconnecting needs a valid one.
 */
export class Session {
  readonly #base: string | URL;
  readonly #fetch: typeof fetch;
  readonly #token: RenewedToken;

  constructor(
    readonly description: SessionDescription,
    base: string | URL,
    fetching: typeof fetch = (...given) => fetch(...given),
  ) {
    this.#base = base;
    this.#fetch = fetching;
    this.#token = new RenewedToken(description.token, "own", () => this.url("tokens"), fetching);
  }

  /** The owner's token, the newest. */
  get token(): string {
    return this.#token.current;
  }

  get id(): string {
    return this.description.id;
  }

  /** Text to show beside the video: it is synthetic. */
  get disclosure(): string {
    return this.description.disclosure;
  }

  /** Opens a stream: speech in, events and on request media out. */
  open(options: StreamOptions = {}): Promise<Stream> {
    const url = this.url("stream");
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return Stream.open(url.href, this.#liveToken(), options);
  }

  /** Watches it by WHEP. */
  watch(options: WatchOptions = {}): Promise<Peer> {
    const [token, iceServers] = [this.#liveToken(), this.description.ice_servers];
    return watch(this.url("whep"), { token, iceServers, ...options });
  }

  /** Publishes camera, microphone or both into it by WHIP. */
  publish(media: MediaStream, options: PublishOptions = {}): Promise<Peer> {
    const [token, iceServers] = [this.#liveToken(), this.description.ice_servers];
    return publish(this.url("whip"), media, { token, iceServers, ...options });
  }

  /** Sends camera and microphone and receives the dubbed video on one connection; the session ends with it. */
  call(media: MediaStream | null, options: CallOptions = {}): Promise<Peer> {
    const [token, iceServers] = [this.#liveToken(), this.description.ice_servers];
    return call(this.url("webrtc"), media, { token, iceServers, ...options });
  }

  /** Reads its state. Throws `GoneError` where it has ended. */
  async state(signal?: AbortSignal): Promise<SessionState> {
    return (await this.#request("GET", "session", signal)) as SessionState;
  }

  /** Barge-in without a stream: drops all speech that is not heard yet. */
  async clear(signal?: AbortSignal): Promise<PlaybackFinished> {
    return (await this.#request("POST", "clear", signal)) as PlaybackFinished;
  }

  /**
   * Shows another face, crossfaded, while sound goes on; `face.changed` follows on its stream. Throws `HttpError`: 422
   * without a face, 409 while another comes, or where the session shows a camera.
   */
  async changeFace(face: Face, signal?: AbortSignal): Promise<void> {
    const upload = "picture" in face ? face : undefined;
    const body = upload ? formOf({ ...(upload.consent && { consent: upload.consent }) }, { portrait: upload.picture }) : JSON.stringify(face);
    const kind: Record<string, string> = upload ? {} : { "Content-Type": "application/json" };
    const headers = { ...bearer(this.#token.current), ...kind };
    await request(this.#fetch, this.url("face"), { method: "POST", headers, body, ...(signal && { signal }) });
  }

  /** Ends it and frees its resources. No error where it has ended already. */
  async end(): Promise<void> {
    this.#token.stop();
    // `keepalive`: the request outlives a page that is being closed.
    await this.#request("DELETE", "session", undefined, true).catch((error: unknown) => {
      if (!(error instanceof HttpError && error.status === 404)) throw error;
    });
  }

  /** The address of one of its routes: `session`, `stream`, `whip`, `whep`, `webrtc`, `clear`, `face`. */
  url(route: string): URL {
    const path = this.description.urls[route];
    if (path === undefined) throw new TypeError(`the server has no ${route} (an older one?)`);
    return new URL(path, this.#base);
  }

  /** Starts the renewing, and returns a function that gives the newest token. */
  #liveToken(): () => string {
    const { expires_in: seconds, urls } = this.description;
    if (seconds !== undefined && urls["tokens"] !== undefined && !this.#token.isRenewed) this.#token.renewAfter(500 * seconds);
    return () => this.#token.current;
  }

  async #request(method: string, route: string, signal?: AbortSignal, keepalive = false): Promise<unknown> {
    const headers = bearer(this.#token.current);
    const init = { method, headers, keepalive, ...(signal && { signal }) };
    return await (await request(this.#fetch, this.url(route), init)).json();
  }
}

function formOf(session: object, images: Record<string, Blob | undefined>): FormData {
  const form = new FormData();
  form.append("session", JSON.stringify(session));
  for (const [name, image] of Object.entries(images)) if (image) form.append(name, image);
  return form;
}

function bearer(token: string): Record<string, string> {
  return { Authorization: `Bearer ${token}` };
}
