/** Keeps a WebRTC connection to a server alive: it restarts ICE, and where that fails it reconnects. */

import { BusyError, GoneError, HttpError, MyTalkError, NetworkError, PeerError, UnsupportedError } from "./errors.js";
import { waitForState } from "./connection-state.js";
import { Listeners } from "./listeners.js";
import { EMPTY, figuresBetween, read, type PeerFigures } from "./peer-figures.js";
import { abortable, deferred, sleep } from "./promises.js";

/**
 * State of a peer. `restarting`: media have stopped, and ICE is being restarted on the same connection.
 * `reconnecting`: that failed, and another connection is being made.
 */
export type PeerState = "open" | "restarting" | "reconnecting" | "closed";

/** An attempt to reconnect. `cause`: why the connection was lost, or the last attempt failed. */
export interface Reconnecting {
  attempt: number; // from 1
  of: number;
  cause: Error;
}

/** Events of a peer. */
export interface PeerEvents {
  connection: PeerState;
  reconnecting: Reconnecting;
}

/** Makes the connections of a peer. */
export interface Connector {
  /** Creates a connection with its transceivers. */
  create: () => RTCPeerConnection;
  /** Sends the offer, and applies the server's answer. */
  negotiate: (connection: RTCPeerConnection, signal: AbortSignal) => Promise<PeerResource>;
  /** Attempts to reconnect when a connection is lost. */
  reconnects: number;
}

/** The server's side of a connection. */
export interface PeerResource {
  /** Tells the server that the connection is closed. */
  end: () => Promise<void>;
  /** Restarts ICE, where the server can. */
  restart?: () => Promise<void>;
}

/** A connection that is `disconnected` for so long counts as lost. */
const DISCONNECT_TIMEOUT_MS = 5_000;

/** ICE is restarted for so long, unless the server answers that it cannot. */
const RESTARTING_MS = 25_000;

/** From a restart until media flow. */
const RESTART_TIMEOUT_MS = 8_000;

/** From an answer until media flow. Longer than the server waits for a peer. */
const CONNECT_TIMEOUT_MS = 20_000;

const RESTART_PAUSE_MS = 1_000; // between two restarts

/** Pauses between attempts to reconnect: doubled with each, up to the maximum, and a quarter more or less. */
const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 8_000;

export class Peer {
  /** The received tracks, added as the connection learns of them. After reconnecting they are those of the new one. */
  readonly media: MediaStream;
  /** Resolves when it is closed; with an error where this side did not close it. */
  readonly closed: Promise<PeerError | undefined>;

  readonly #over = deferred<PeerError | undefined>();
  readonly #listeners = new Listeners<PeerEvents>();
  readonly #stop = new AbortController();
  #link: Link;
  #resource: PeerResource | undefined;
  #state: PeerState | undefined;
  #isRecovering = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lastSample = EMPTY;

  /** `signal` aborts connecting and reconnecting. */
  constructor(
    private readonly connector: Connector,
    private readonly signal?: AbortSignal,
  ) {
    if (typeof MediaStream === "undefined") {
      throw new UnsupportedError("no WebRTC here (in Node, open a stream with output.video instead)");
    }
    this.closed = this.#over.promise;
    this.media = new MediaStream();
    this.#link = this.#createLink();
  }

  /** The connection that is in use. */
  get connection(): RTCPeerConnection {
    return this.#link.connection;
  }

  /** Calls `listener` from now on; returns a function that removes it. A `signal` removes it as well. */
  on<K extends keyof PeerEvents>(name: K, listener: (event: PeerEvents[K]) => void, signal?: AbortSignal): () => void {
    return this.#listeners.on(name, listener, signal);
  }

  /** Resolves when media can flow. Throws `HttpError`, `PeerError`, or the signal's reason; then it is closed. */
  async connect(): Promise<this> {
    const off = this.#abortWithSignal();
    try {
      await this.#connectLink(this.#link);
    } catch (error) {
      if (!this.#stop.signal.aborted && error instanceof PeerError) this.#over.resolve(error);
      await this.close();
      throw error;
    } finally {
      off();
    }
    return this;
  }

  /** Closes it. `isKnown`: the server knows already, for its session has ended. */
  async close(isKnown = false): Promise<void> {
    clearTimeout(this.#timer);
    this.#stop.abort(new PeerError("the connection was closed"));
    this.#over.resolve(undefined);
    this.#setState("closed");
    const resource = this.#resource;
    this.#resource = undefined;
    if (!isKnown) await resource?.end();
    this.connection.close();
    for (const track of this.media.getTracks()) track.stop();
  }

  /** Computes figures of the time since the last call. */
  async figures(): Promise<PeerFigures> {
    const { connection } = this;
    const sample = read(await connection.getStats());
    const figures = figuresBetween(this.#lastSample, sample);
    if (connection === this.connection) this.#lastSample = sample;
    return figures;
  }

  // --- one connection

  #createLink(): Link {
    const link: Link = { connection: this.connector.create(), tracks: [] };
    link.connection.addEventListener("track", ({ track }) => {
      link.tracks.push(track);
      if (link === this.#link) this.media.addTrack(track);
    });
    link.connection.addEventListener("connectionstatechange", () => {
      if (link === this.#link) this.#checkState();
    });
    return link;
  }

  /** Connects a link and makes it the current one. On failure it closes the link, tells the server, and throws. */
  async #connectLink(link: Link): Promise<void> {
    const { signal } = this.#stop;
    let resource: PeerResource | undefined;
    try {
      resource = await this.connector.negotiate(link.connection, signal);
      const state = await waitForState(link.connection, ["connected", "failed"], CONNECT_TIMEOUT_MS, signal);
      if (state !== "connected") throw new PeerError("the server cannot be reached by WebRTC (is UDP blocked?)");
    } catch (error) {
      link.connection.close();
      await resource?.end();
      throw error;
    }
    const before = this.#link;
    this.#link = link;
    this.#resource = resource;
    if (before !== link) {
      this.#lastSample = EMPTY;
      for (const track of link.tracks) this.media.addTrack(track);
      for (const track of before.tracks) this.media.removeTrack(track);
      before.connection.close();
    }
    for (const transport of transportsOf(link.connection)) {
      transport.addEventListener("statechange", () => {
        if (link === this.#link) this.#checkState();
      });
    }
    this.#setState("open");
    this.#checkState();
  }

  // --- recovery

  #checkState(): void {
    clearTimeout(this.#timer);
    if (this.#state !== "open" || this.#isRecovering) return;
    const state = this.connection.connectionState;
    const lost = new PeerError("the connection was lost");
    if (transportsOf(this.connection).some((transport) => transport.state === "closed")) {
      void this.#recover(new PeerError("the server closed the connection"));
      return;
    }
    if (state === "disconnected") this.#timer = setTimeout(() => void this.#recover(lost), DISCONNECT_TIMEOUT_MS);
    if (state === "failed") void this.#recover(lost);
  }

  async #recover(lost: PeerError): Promise<void> {
    const { signal } = this.#stop;
    const off = this.#abortWithSignal();
    this.#isRecovering = true;
    try {
      const cause = await this.#restart(lost);
      if (cause !== undefined) await this.#reconnect(cause);
      else this.#setState("open");
    } catch (error) {
      if (!signal.aborted) this.#over.resolve(asPeerError(error));
      await this.close();
    } finally {
      off();
      this.#isRecovering = false;
      this.#checkState();
    }
  }

  /** Restarts ICE until media flow again. Returns an error where the server cannot, or the time is up. */
  async #restart(lost: PeerError): Promise<Error | undefined> {
    const { signal } = this.#stop;
    const restart = this.#resource?.restart?.bind(this.#resource);
    const ice = this.connection.iceConnectionState;
    if (restart === undefined || ice === "connected" || ice === "completed") return lost; // DTLS cannot be restarted
    const until = performance.now() + RESTARTING_MS;
    this.#setState("restarting");
    for (;;) {
      try {
        await abortable(restart(), signal);
        if (await waitForState(this.connection, ["connected"], RESTART_TIMEOUT_MS, signal)) return undefined;
      } catch (error) {
        if (signal.aborted) throw error;
        if (error instanceof MyTalkError && cannotRestart(error)) return error;
      }
      if (performance.now() > until) return lost;
      await sleep(RESTART_PAUSE_MS, signal);
    }
  }

  /** Replaces the connection that was lost. Throws the error of the last attempt. */
  async #reconnect(cause: Error): Promise<void> {
    const { signal } = this.#stop;
    const of = this.connector.reconnects;
    if (!(cause instanceof GoneError)) void this.#resource?.end();
    this.#resource = undefined;
    for (let attempt = 1; attempt <= of; attempt += 1) {
      this.#setState("reconnecting");
      this.#listeners.emit("reconnecting", { attempt, of, cause });
      if (attempt > 1) await sleep(pause(attempt), signal);
      signal.throwIfAborted();
      try {
        return await this.#connectLink(this.#createLink());
      } catch (error) {
        if (signal.aborted || isFinal(error)) throw error;
        cause = error as Error;
      }
    }
    throw cause;
  }

  /** Has the caller's signal abort this attempt. One that was aborted before, on an open connection, does not. */
  #abortWithSignal(): () => void {
    const { signal } = this;
    const abort = () => this.#stop.abort(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    return () => signal?.removeEventListener("abort", abort);
  }

  #setState(state: PeerState): void {
    if (this.#state === state || this.#state === "closed") return;
    this.#state = state;
    this.#listeners.emit("connection", state);
  }
}

/** A connection, and the tracks received by it. */
interface Link {
  connection: RTCPeerConnection;
  tracks: MediaStreamTrack[];
}

/**
 * The DTLS transports of a connection: one, where its media are bundled. The state of one that the other side closes is
 * "closed" at once; that of the connection is "disconnected" only 5 s after its last packet.
 */
function transportsOf(connection: RTCPeerConnection): RTCDtlsTransport[] {
  return [...new Set(connection.getReceivers().flatMap(({ transport }) => transport ?? []))];
}

function pause(attempt: number): number {
  return Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 2)) * (0.75 + Math.random() / 2);
}

/** Tells whether a further restart is useless. A busy server may be free, and the network back, a second later. */
function cannotRestart(error: MyTalkError): boolean {
  if (error instanceof NetworkError) return false;
  if (error instanceof HttpError) return error.status !== 429 && (error.status < 500 || error.status === 501);
  return true;
}

/** Tells whether reconnecting is useless: the session is gone, or the token is no longer valid. */
function isFinal(error: unknown): boolean {
  return error instanceof HttpError && !(error instanceof BusyError) && error.status < 500;
}

function asPeerError(error: unknown): PeerError {
  if (error instanceof PeerError) return error;
  return new PeerError(`the connection was lost: ${(error as Error).message}`, { cause: error });
}
