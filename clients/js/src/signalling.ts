/** Signals as WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) do: POST an offer, PATCH candidates, DELETE. */

import { PeerError } from "./errors.js";
import type { Connector, PeerResource } from "./peer.js";
import { sleep } from "./promises.js";
import { request } from "./request.js";
import { whileBusy } from "./retry.js";
import { currentToken, type Token } from "./token.js";

export interface SignallingOptions {
  /** Bearer token of the endpoint, or a function that returns the one that is valid now. */
  token?: Token;
  iceServers?: RTCIceServer[];
  /** Aborts connecting and reconnecting. An open connection has `close`. */
  signal?: AbortSignal;
  fetch?: typeof fetch;
  /** Milliseconds for which an endpoint that is busy, or not live yet, is retried. Left out: 10 000. */
  patienceMs?: number;
  /** Attempts to reconnect, each after a longer pause, when a connection is lost. Left out: 6. */
  reconnects?: number;
}

/** Candidates found by then are in the offer; later ones are trickled. */
const GATHER_TIMEOUT_MS = 250;

const PATIENCE_MS = 10_000;

/** An ICE restart that is not answered by then is retried, for the network may have changed. */
const RESTART_TIMEOUT_MS = 5_000;

const FRAGMENT = "application/trickle-ice-sdpfrag";

const RECONNECTS = 6; // some 20 s with the pauses between them

/** Makes what a peer needs to connect to an endpoint, and to reconnect. */
export function connectorOf(create: () => RTCPeerConnection, url: URL, options: SignallingOptions): Connector {
  const negotiate: Connector["negotiate"] = (connection, signal) => Resource.post(connection, url, { ...options, signal });
  return { create, negotiate, reconnects: options.reconnects ?? RECONNECTS };
}

/** The WHIP or WHEP resource of one connection (RFC 9725, 4.2). */
export class Resource implements PeerResource {
  #etag: string | null;

  private constructor(
    private readonly connection: RTCPeerConnection,
    private readonly url: string,
    private readonly options: SignallingOptions,
    response: Response,
  ) {
    this.#etag = response.headers.get("ETag");
  }

  /** Posts the offer, and applies the answer. */
  static async post(connection: RTCPeerConnection, url: URL, options: SignallingOptions): Promise<Resource> {
    await connection.setLocalDescription();
    const late = lateCandidates(connection);
    await gatherCandidates(connection, options.signal);
    late.length = 0;
    const offer = connection.localDescription?.sdp;
    if (offer === undefined) throw new PeerError("the browser made no offer");
    const response = await postWithRetry(url, offer, options);
    const servers = iceServersOf(response.headers.get("Link"));
    if (servers.length > 0 && options.iceServers === undefined) connection.setConfiguration({ iceServers: servers });
    const location = response.headers.get("Location");
    if (location === null) throw new PeerError("the answer names no Location (is this a WHIP or WHEP endpoint?)");
    await connection.setRemoteDescription({ type: "answer", sdp: await response.text() });
    const resource = new Resource(connection, new URL(location, response.url || url).href, options, response);
    await resource.#trickleAll(late);
    return resource;
  }

  /**
   * Attempts an ICE restart (RFC 9725, 4.3.3): new credentials and candidates for the same media. Resolves when both
   * sides know them. Throws `HttpError` and others; then the connection is as it was.
   */
  async restart(): Promise<void> {
    const { connection } = this;
    const before = connection.remoteDescription?.sdp ?? "";
    connection.restartIce();
    const late = lateCandidates(connection);
    await connection.setLocalDescription();
    try {
      await gatherCandidates(connection);
      const body = fragment(connection.localDescription?.sdp ?? "", late.splice(0));
      const headers = { "Content-Type": FRAGMENT, "If-Match": "*" };
      const signal = AbortSignal.timeout(RESTART_TIMEOUT_MS);
      const response = await send(this.url, { method: "PATCH", headers, body, signal }, this.options);
      if (response.status !== 200) throw new PeerError("the server did not restart ICE (it took candidates only)");
      const sdp = restarted(before, await response.text());
      this.#etag = response.headers.get("ETag");
      await connection.setRemoteDescription({ type: "answer", sdp });
    } catch (error) {
      await connection.setLocalDescription({ type: "rollback" }).catch(() => undefined); // closed meanwhile
      throw error;
    }
    await this.#trickleAll(late);
  }

  /** Deletes the resource. A failure is ignored: the server drops it anyway once the connection is silent. */
  async end(): Promise<void> {
    this.connection.onicecandidate = null;
    await send(this.url, { method: "DELETE", keepalive: true }, this.options).catch(() => undefined);
  }

  /** Sends the candidates found after the offer, and those to come. */
  async #trickleAll(late: (RTCIceCandidate | null)[]): Promise<void> {
    this.connection.onicecandidate = ({ candidate }) => void this.#trickle([candidate]);
    if (late.length > 0) await this.#trickle(late.splice(0));
  }

  /** RFC 8840. A failure is ignored: a server may take no candidates (405, 501), or have restarted ICE. */
  async #trickle(candidates: (RTCIceCandidate | null)[]): Promise<void> {
    const body = fragment(this.connection.localDescription?.sdp ?? "", candidates);
    const headers: Record<string, string> = { "Content-Type": FRAGMENT };
    if (this.#etag !== null) headers["If-Match"] = this.#etag;
    await send(this.url, { method: "PATCH", headers, body }, this.options).catch(() => undefined);
  }
}

/** Reads the ICE servers of a Link header (RFC 9725, 4.6). */
export function iceServersOf(link: string | null): RTCIceServer[] {
  const servers: RTCIceServer[] = [];
  for (const [, url, rest] of (link ?? "").matchAll(/<((?:stun|turn)s?:[^>]+)>((?:\s*;\s*[\w-]+="?[^",;]*"?)*)/g)) {
    const named = Object.fromEntries(
      [...(rest as string).matchAll(/([\w-]+)="?([^",;]*)"?/g)].map(([, name, value]) => [name, value]),
    ) as Record<string, string>;
    if (named["rel"] !== "ice-server") continue;
    const { username, credential } = named;
    servers.push({ urls: url as string, ...(username && { username }), ...(credential && { credential }) });
  }
  return servers;
}

/** Writes candidates as `application/trickle-ice-sdpfrag`; null stands for the end of candidates. */
export function fragment(offer: string, candidates: (Candidate | null)[]): string {
  const named = (name: string) => new RegExp(`^a=${name}:.*$`, "m").exec(offer)?.[0];
  const lines = [named("ice-ufrag"), named("ice-pwd")].filter((line) => line !== undefined);
  const mids = new Set(candidates.filter((one) => one !== null).map(({ sdpMid }) => sdpMid));
  for (const mid of mids) {
    lines.push("m=audio 9 UDP/TLS/RTP/SAVPF 0", `a=mid:${mid}`);
    for (const one of candidates) if (one?.sdpMid === mid && one.candidate) lines.push(`a=${one.candidate}`);
  }
  if (candidates.includes(null)) lines.push("a=end-of-candidates");
  return lines.join("\r\n") + "\r\n";
}

/**
 * Applies an ICE restart to the answer before it: the credentials and candidates become those of the server's
 * fragment (RFC 9725, 4.3.3). Throws `PeerError` for a fragment without credentials.
 */
export function restarted(answer: string, theirs: string): string {
  const named = (name: string) => new RegExp(`^a=${name}:.*$`, "m").exec(theirs)?.[0].trim();
  const [user, password] = [named("ice-ufrag"), named("ice-pwd")];
  if (user === undefined || password === undefined) throw new PeerError("the server's fragment has no ICE credentials");
  const candidates = new Map(sections(theirs).map((lines) => [midOf(lines), lines.filter(isCandidate)]));
  const renewed = sections(answer).map((lines) => [
    ...lines
      .filter((line) => !isCandidate(line))
      .map((line) => (line.startsWith("a=ice-ufrag:") ? user : line.startsWith("a=ice-pwd:") ? password : line)),
    ...((midOf(lines) !== undefined && candidates.get(midOf(lines))) || []),
  ]);
  return renewed.flat().join("\r\n") + "\r\n";
}

const isCandidate = (line: string) => line.startsWith("a=candidate:") || line === "a=end-of-candidates";
const midOf = (lines: string[]) => lines.find((line) => line.startsWith("a=mid:"));

/** Splits SDP into the lines of its sections; the first holds what comes before the first `m=`. */
function sections(sdp: string): string[][] {
  return sdp.split(/^(?=m=)/m).map((section) => section.split(/\r?\n/).filter((line) => line !== ""));
}

type Candidate = Pick<RTCIceCandidate, "candidate" | "sdpMid">;

/** Posts; while the endpoint is busy, waits for its `Retry-After` and posts again. */
function postWithRetry(url: URL, offer: string, options: SignallingOptions): Promise<Response> {
  const headers = { "Content-Type": "application/sdp" };
  const post = () => send(url, { method: "POST", headers, body: offer }, options);
  return whileBusy(post, options.patienceMs ?? PATIENCE_MS, options);
}

/** Sends a request with the token. Throws as `request` does. */
export async function send(url: URL | string, init: RequestInit, options: SignallingOptions): Promise<Response> {
  const { token } = options;
  const authorization = token === undefined ? {} : { Authorization: `Bearer ${currentToken(token)}` };
  const { signal, fetch: fetching = fetch } = options;
  const headers = { ...authorization, ...(init.headers as Record<string, string> | undefined) };
  const aborted = signal !== undefined && init.method === "POST" ? { signal } : {};
  return await request(fetching, url, { ...init, headers, ...aborted });
}

/** Resolves when all candidates are found, or after `ms` milliseconds. */
export async function gatherCandidates(connection: RTCPeerConnection, signal?: AbortSignal, ms = GATHER_TIMEOUT_MS): Promise<void> {
  if (connection.iceGatheringState === "complete") return;
  const stop = new AbortController();
  const complete = new Promise<void>((resolve) => {
    const check = () => connection.iceGatheringState === "complete" && resolve();
    connection.addEventListener("icegatheringstatechange", check, { signal: stop.signal });
  });
  try {
    await Promise.race([complete, sleep(ms, signal)]);
  } finally {
    stop.abort();
  }
}

function lateCandidates(connection: RTCPeerConnection): (RTCIceCandidate | null)[] {
  const late: (RTCIceCandidate | null)[] = [];
  connection.onicecandidate = ({ candidate }) => void late.push(candidate);
  return late;
}
