/** Sessions of a server, over HTTP: made, watched, published to, spoken to, interrupted, ended. */

import { call, type CallOptions } from "./call.js";
import { HttpError } from "./errors.js";
import type { PlaybackFinished } from "./messages.js";
import type { Peer } from "./peer.js";
import { Stream, type StreamOptions } from "./stream.js";
import { LastingToken } from "./token.js";
import { watch, type WatchOptions } from "./whep.js";
import { publish, type PublishOptions } from "./whip.js";

/** What a session is to be. Left out: the server's defaults. */
export interface SessionOptions {
  /** `portrait`: the server's picture; `live`: a camera. */
  source?: "live" | "portrait";
  /** `stream`: samples by WebSocket; `live`: a published microphone; `demo`: the server's sample. */
  speech?: "live" | "demo" | "stream";
  profile?: "low" | "balanced" | "quality";
  seed?: number;
  steps?: number;
  mouth_opening?: number;
  /** Which face speaks: the largest, or the one nearest to a point, in shares of the picture's sides. */
  face?: "largest" | readonly [number, number];
  /** What is seen while nobody speaks: a mouth that rests, or the untouched picture. */
  on_silence?: "close" | "passthrough";
  /** Milliseconds by which a camera's pictures wait for speech that is dubbed. */
  video_delay?: number;
  /** Into the server's folder of recordings. */
  record?: boolean;
  /** To a streaming server: a URL of RTMP or SRT. */
  push?: string;
}

/** A face of one's own. */
export interface Portrait {
  /** PNG, JPEG or WebP, at most 8 MiB, with one face seen from the front. */
  picture: Blob;
  /** Who agreed, when (ISO 8601), and to what. A server may want it. */
  consent?: { who: string; when: string; purpose: string };
}

/** What `POST /v1/sessions` answers. */
export interface SessionDescription {
  id: string;
  state: string;
  token: string;
  view_token?: string;
  /** Seconds for which tokens open connections. */
  expires_in?: number;
  urls: Record<string, string>;
  ice_servers: RTCIceServer[];
  disclosure: string;
}

/** How a session does. */
export interface SessionState {
  id: string;
  state: "new" | "live" | "draining" | "closed";
  untouched_because: string | null;
  stats: { age_ms: number; delay_ms?: number; pictures?: Record<string, number> } & Record<string, unknown>;
  events: unknown[];
}

export interface ClientOptions {
  /** Of the server, where it wants one. */
  apiKey?: string;
  fetch?: typeof fetch;
}

/** A server. */
export class Client {
  readonly base: URL;
  readonly #headers: Record<string, string>;
  readonly #fetch: typeof fetch;

  constructor(base: string | URL, options: ClientOptions = {}) {
    this.base = new URL(base);
    this.#headers = options.apiKey === undefined ? {} : bearer(options.apiKey);
    this.#fetch = options.fetch ?? ((...given) => fetch(...given));
  }

  /** Makes a session. `BusyError`: the server has no room, or is not ready; ask again after `retryAfter`. */
  async create(options: SessionOptions = {}, signal?: AbortSignal): Promise<Session> {
    return await this.#create(JSON.stringify(options), { "Content-Type": "application/json" }, signal);
  }

  /** Makes a session whose face is a picture. `HttpError` of status 422: no face was found on it. */
  async createWith(portrait: Portrait, options: SessionOptions = {}, signal?: AbortSignal): Promise<Session> {
    const { picture, consent } = portrait;
    const form = new FormData();
    form.append("session", JSON.stringify({ source: "portrait", ...options, ...(consent && { consent }) }));
    form.append("portrait", picture);
    return await this.#create(form, {}, signal);
  }

  async #create(body: BodyInit, kind: Record<string, string>, signal?: AbortSignal): Promise<Session> {
    const url = new URL("/v1/sessions", this.base);
    const headers = { ...this.#headers, ...kind };
    const response = await this.#fetch(url, { method: "POST", headers, body, ...(signal && { signal }) });
    if (!response.ok) throw await HttpError.from(response);
    // A redirect (307) leads to the server that the session is on.
    return new Session((await response.json()) as SessionDescription, response.url || url, this.#fetch);
  }
}

/**
 * One session. Anybody who has its description may make this object of it. Once something of it was opened, its token
 * is renewed at half of its life, until the session has ended: a connection that is made anew needs one that is good.
 */
export class Session {
  readonly #base: string | URL;
  readonly #fetch: typeof fetch;
  readonly #token: LastingToken;

  constructor(
    readonly description: SessionDescription,
    base: string | URL,
    fetching: typeof fetch = (...given) => fetch(...given),
  ) {
    this.#base = base;
    this.#fetch = fetching;
    this.#token = new LastingToken(description.token, "own", () => this.url("tokens"), fetching);
  }

  /** Its owner's, the newest. */
  get token(): string {
    return this.#token.now;
  }

  get id(): string {
    return this.description.id;
  }

  /** To be shown to whoever sees the video. */
  get disclosure(): string {
    return this.description.disclosure;
  }

  /** Speech in; events, and if wanted media, out. */
  open(options: StreamOptions = {}): Promise<Stream> {
    const url = this.url("stream");
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return Stream.open(url.href, this.#freshToken(), options);
  }

  /** Watches it by WHEP. */
  watch(options: WatchOptions = {}): Promise<Peer> {
    const [token, iceServers] = [this.#freshToken(), this.description.ice_servers];
    return watch(this.url("whep"), { token, iceServers, ...options });
  }

  /** Publishes camera, microphone or both into it by WHIP. */
  publish(media: MediaStream, options: PublishOptions = {}): Promise<Peer> {
    const [token, iceServers] = [this.#freshToken(), this.description.ice_servers];
    return publish(this.url("whip"), media, { token, iceServers, ...options });
  }

  /** Camera and microphone up and the dubbed video down, on one connection; the session ends with it. */
  call(media: MediaStream | null, options: CallOptions = {}): Promise<Peer> {
    const [token, iceServers] = [this.#freshToken(), this.description.ice_servers];
    return call(this.url("webrtc"), media, { token, iceServers, ...options });
  }

  /** How it does. `GoneError`: it has ended. */
  async state(signal?: AbortSignal): Promise<SessionState> {
    return (await this.#ask("GET", "session", signal)) as SessionState;
  }

  /** Barge-in, where there is no stream to say it by. */
  async clear(signal?: AbortSignal): Promise<PlaybackFinished> {
    return (await this.#ask("POST", "clear", signal)) as PlaybackFinished;
  }

  /** Ends it and frees all of it. That it had ended already is no error. */
  async end(): Promise<void> {
    this.#token.stop();
    // `keepalive`: it reaches the server although the page is being left.
    await this.#ask("DELETE", "session", undefined, true).catch((error: unknown) => {
      if (!(error instanceof HttpError && error.status === 404)) throw error;
    });
  }

  /** The address of one of its routes: `session`, `stream`, `whip`, `whep`, `webrtc`, `clear`. */
  url(route: string): URL {
    const path = this.description.urls[route];
    if (path === undefined) throw new TypeError(`the server has no ${route} (an older one?)`);
    return new URL(path, this.#base);
  }

  /** The token of whenever it is called; from now on one that is good. */
  #freshToken(): () => string {
    const { expires_in: seconds, urls } = this.description;
    if (seconds !== undefined && urls["tokens"] !== undefined && !this.#token.isRenewed) this.#token.renewAfter(500 * seconds);
    return () => this.#token.now;
  }

  async #ask(method: string, route: string, signal?: AbortSignal, keepalive = false): Promise<unknown> {
    const headers = bearer(this.#token.now);
    const response = await this.#fetch(this.url(route), { method, headers, keepalive, ...(signal && { signal }) });
    if (!response.ok) throw await HttpError.from(response);
    return await response.json();
  }
}

function bearer(token: string): Record<string, string> {
  return { Authorization: `Bearer ${token}` };
}
