/** What WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) share: an offer posted, candidates after it, and the end. */

import { BusyError, HttpError, PeerError } from "./errors.js";
import type { Place, Plan } from "./peer.js";
import { tokenNow, type Token } from "./token.js";
import { sleep } from "./waiting.js";

export interface SignallingOptions {
  /** Bearer token of the endpoint, or what gives the one that is good now. */
  token?: Token;
  iceServers?: RTCIceServer[];
  /** Ends the connecting, and that anew after a loss. An open connection has `close`. */
  signal?: AbortSignal;
  fetch?: typeof fetch;
  /** Milliseconds for which an endpoint that is busy, or not live yet, is asked again. */
  patienceMs?: number;
  /** Other connections that are tried, each after a longer pause, when one is lost for good. Left out: 6. */
  reconnects?: number;
}

/** Candidates found by then are in the offer; later ones follow it. */
const GATHER_MS = 250;

const PATIENCE_MS = 10_000;

/** An ICE restart that is not answered by then is tried again: the network may be another one by now. */
const RESTART_MS = 5_000;

const FRAGMENT = "application/trickle-ice-sdpfrag";

const RECONNECTS = 6; // with the pauses between them: about 20 s

/** How a peer connects to an endpoint, again where it must. */
export function planned(make: () => RTCPeerConnection, url: URL, options: SignallingOptions): Plan {
  const agree: Plan["agree"] = (connection, signal) => Resource.post(connection, url, { ...options, signal });
  return { make, agree, reconnects: options.reconnects ?? RECONNECTS };
}

/** One connection's place at its server. */
export class Resource implements Place {
  #etag: string | null;

  private constructor(
    private readonly connection: RTCPeerConnection,
    private readonly url: string,
    private readonly options: SignallingOptions,
    response: Response,
  ) {
    this.#etag = response.headers.get("ETag");
  }

  /** Offers, and takes the answer. */
  static async post(connection: RTCPeerConnection, url: URL, options: SignallingOptions): Promise<Resource> {
    await connection.setLocalDescription();
    const late = lateCandidates(connection);
    await gathered(connection, options.signal);
    late.length = 0;
    const offer = connection.localDescription?.sdp;
    if (offer === undefined) throw new PeerError("the browser made no offer");
    const response = await postPatiently(url, offer, options);
    const servers = iceServersOf(response.headers.get("Link"));
    if (servers.length > 0 && options.iceServers === undefined) connection.setConfiguration({ iceServers: servers });
    const location = response.headers.get("Location");
    if (location === null) throw new PeerError("the answer names no Location (is this a WHIP or WHEP endpoint?)");
    await connection.setRemoteDescription({ type: "answer", sdp: await response.text() });
    const resource = new Resource(connection, new URL(location, response.url || url).href, options, response);
    await resource.#follow(late);
    return resource;
  }

  /**
   * One try of an ICE restart (RFC 9725, 4.3.3): new credentials and candidates for the same media. Resolves when both
   * sides know them. Throws why not, `HttpError` among it; then the connection is as it was.
   */
  async restart(): Promise<void> {
    const { connection } = this;
    const before = connection.remoteDescription?.sdp ?? "";
    connection.restartIce();
    const late = lateCandidates(connection);
    await connection.setLocalDescription();
    try {
      await gathered(connection);
      const body = fragment(connection.localDescription?.sdp ?? "", late.splice(0));
      const headers = { "Content-Type": FRAGMENT, "If-Match": "*" };
      const signal = AbortSignal.timeout(RESTART_MS);
      const response = await send(this.url, { method: "PATCH", headers, body, signal }, this.options);
      if (response.status !== 200) throw new PeerError("the server did not restart ICE (it took candidates only)");
      const sdp = restarted(before, await response.text());
      this.#etag = response.headers.get("ETag");
      await connection.setRemoteDescription({ type: "answer", sdp });
    } catch (error) {
      await connection.setLocalDescription({ type: "rollback" }).catch(() => undefined); // closed meanwhile
      throw error;
    }
    await this.#follow(late);
  }

  /** Tells the server that it is over. One that has forgotten it already is not asked twice. */
  async end(): Promise<void> {
    this.connection.onicecandidate = null;
    await send(this.url, { method: "DELETE", keepalive: true }, this.options).catch(() => undefined);
  }

  /** Sends the candidates that were late, and those to come. */
  async #follow(late: (RTCIceCandidate | null)[]): Promise<void> {
    this.connection.onicecandidate = ({ candidate }) => void this.#trickle([candidate]);
    if (late.length > 0) await this.#trickle(late.splice(0));
  }

  /** RFC 8840. A server that takes none (405, 501), or has another ICE session by now, goes without. */
  async #trickle(candidates: (RTCIceCandidate | null)[]): Promise<void> {
    const body = fragment(this.connection.localDescription?.sdp ?? "", candidates);
    const headers: Record<string, string> = { "Content-Type": FRAGMENT };
    if (this.#etag !== null) headers["If-Match"] = this.#etag;
    await send(this.url, { method: "PATCH", headers, body }, this.options).catch(() => undefined);
  }
}

/** ICE servers that a Link header names (RFC 9725, 4.6). */
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

/** Candidates as `application/trickle-ice-sdpfrag`; null means that no more will come. */
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
 * The answer that an ICE restart makes of the one before: with the credentials and the candidates of the server's
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

/** Its lines, from one `m=` to the next; what comes before the first is a section too. */
function sections(sdp: string): string[][] {
  return sdp.split(/^(?=m=)/m).map((section) => section.split(/\r?\n/).filter((line) => line !== ""));
}

type Candidate = Pick<RTCIceCandidate, "candidate" | "sdpMid">;

/** Posts; while the endpoint is busy, waits as long as it says and asks again. */
async function postPatiently(url: URL, offer: string, options: SignallingOptions): Promise<Response> {
  const until = performance.now() + (options.patienceMs ?? PATIENCE_MS);
  const headers = { "Content-Type": "application/sdp" };
  for (;;) {
    try {
      return await send(url, { method: "POST", headers, body: offer }, options);
    } catch (error) {
      if (!(error instanceof BusyError) || error.retryAfter === undefined) throw error;
      if (performance.now() + 1000 * error.retryAfter > until) throw error;
      await sleep(1000 * error.retryAfter, options.signal);
    }
  }
}

/** A request with the token. Throws `HttpError` where the answer is an error. */
export async function send(url: URL | string, request: RequestInit, options: SignallingOptions): Promise<Response> {
  const { token } = options;
  const authorization = token === undefined ? {} : { Authorization: `Bearer ${tokenNow(token)}` };
  const { signal, fetch: fetching = fetch } = options;
  const headers = { ...authorization, ...(request.headers as Record<string, string> | undefined) };
  const ends = signal !== undefined && request.method === "POST" ? { signal } : {};
  const response = await fetching(url, { ...request, headers, ...ends });
  if (!response.ok) throw await HttpError.from(response);
  return response;
}

/** Resolves when all candidates are found, or enough time has passed. */
export async function gathered(connection: RTCPeerConnection, signal?: AbortSignal, ms = GATHER_MS): Promise<void> {
  if (connection.iceGatheringState === "complete") return;
  const stop = new AbortController();
  const complete = new Promise<void>((resolve) => {
    const look = () => connection.iceGatheringState === "complete" && resolve();
    connection.addEventListener("icegatheringstatechange", look, { signal: stop.signal });
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
