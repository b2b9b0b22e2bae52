// Made from clients/js by `npm run build && npm run bundle`. Change it there.
// dist/errors.js
/**
* The errors that this package throws:
*
*     MyTalkError
*     ├── HttpError             the server answered a request with an error; `status`, `code`
*     │   ├── NotAuthorizedError    401: no key or token, or a wrong one
*     │   ├── ForbiddenError        403: it does not give this right
*     │   ├── GoneError             404, 410: no such session any more
*     │   └── BusyError             409, 429, 503: ask again after `retryAfter` seconds (`Client` does, for a while)
*     ├── NetworkError          the server cannot be reached over HTTP
*     ├── ServerError           an `error` message of the stream; `code`, `fatal`, `event_id`
*     ├── ProtocolError         a message is not of `mytalk.v1`
*     ├── DisconnectedError     the stream is over: `closeCode`
*     ├── PeerError             WebRTC could not connect, or lost the connection
*     └── UnsupportedError      this browser or runtime lacks an API
*
* Aborted work throws the signal's own reason, as `fetch` does.
*/
var MyTalkError = class extends Error {
	name = "MyTalkError";
};
/** The server refused a request. `code` is its machine-readable reason. */
var HttpError = class HttpError extends MyTalkError {
	status;
	code;
	retryAfter;
	name = "HttpError";
	constructor(status, code, message, retryAfter) {
		super(message);
		this.status = status;
		this.code = code;
		this.retryAfter = retryAfter;
	}
	/** Reads the error that a response carries. */
	static async from(response) {
		const { code, message } = reason(await response.text().catch(() => ""));
		const seconds = Number(response.headers.get("Retry-After") ?? NaN);
		return new (KINDS[response.status] ?? HttpError)(response.status, code ?? "failed", message ?? `the server answered ${response.status} ${response.statusText}`, Number.isFinite(seconds) ? seconds : void 0);
	}
};
var NotAuthorizedError = class extends HttpError {
	name = "NotAuthorizedError";
};
var ForbiddenError = class extends HttpError {
	name = "ForbiddenError";
};
var GoneError = class extends HttpError {
	name = "GoneError";
};
var BusyError = class extends HttpError {
	name = "BusyError";
};
const KINDS = {
	401: NotAuthorizedError,
	403: ForbiddenError,
	404: GoneError,
	409: BusyError,
	410: GoneError,
	429: BusyError,
	503: BusyError
};
/** No answer came: the server is down, the network is away, or the server allows no page of this origin. */
var NetworkError = class extends MyTalkError {
	name = "NetworkError";
};
/** The server could not do what a message asked, or something of the session failed. */
var ServerError = class extends MyTalkError {
	code;
	fatal;
	event_id;
	name = "ServerError";
	constructor(code, message, fatal, event_id) {
		super(message);
		this.code = code;
		this.fatal = fatal;
		this.event_id = event_id;
	}
};
/** A message that this version does not understand. `unknown_type` is to be ignored. */
var ProtocolError = class extends MyTalkError {
	code;
	name = "ProtocolError";
	constructor(code, message) {
		super(message);
		this.code = code;
	}
};
/** The stream is over and cannot be resumed. */
var DisconnectedError = class extends MyTalkError {
	closeCode;
	name = "DisconnectedError";
	constructor(message, closeCode) {
		super(message);
		this.closeCode = closeCode;
	}
};
var PeerError = class extends MyTalkError {
	name = "PeerError";
};
var UnsupportedError = class extends MyTalkError {
	name = "UnsupportedError";
};
function reason(text) {
	try {
		const { error } = JSON.parse(text);
		return error ?? {};
	} catch {
		return {};
	}
}

// dist/promises.js
/** Promises that are settled from outside, or ended by a signal. */
function deferred() {
	let resolve;
	let reject;
	const promise = new Promise((yes, no) => [resolve, reject] = [yes, no]);
	promise.catch(() => void 0);
	return {
		promise,
		resolve,
		reject
	};
}
/** Settles as `promise` does, or rejects with the signal's reason when that is aborted. The work itself goes on. */
function abortable(promise, signal) {
	if (signal === void 0) return promise;
	return new Promise((resolve, reject) => {
		const abort = () => reject(signal.reason);
		if (signal.aborted) abort();
		signal.addEventListener("abort", abort, { once: true });
		promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
	});
}
/** Resolves after `ms` milliseconds; rejects with the signal's reason. */
function sleep(ms, signal) {
	let timer;
	return abortable(new Promise((resolve) => timer = setTimeout(resolve, ms)), signal).finally(() => clearTimeout(timer));
}

// dist/connection-state.js
/** Waiting for a state of an `RTCPeerConnection`. */
/** Resolves with the first of `states` that the connection reaches, or undefined after `ms` milliseconds. */
async function waitForState(connection, states, ms, signal) {
	const listening = new AbortController();
	let timer;
	const found = new Promise((resolve) => {
		const check = () => {
			const state = states.find((one) => one === connection.connectionState);
			if (state !== void 0) resolve(state);
		};
		connection.addEventListener("connectionstatechange", check, { signal: listening.signal });
		timer = setTimeout(() => resolve(void 0), ms);
		check();
	});
	try {
		return await abortable(found, signal);
	} finally {
		clearTimeout(timer);
		listening.abort();
	}
}

// dist/listeners.js
/** Listeners by event name. `Events` maps a name to the type of its event. */
var Listeners = class {
	#all = /* @__PURE__ */ new Map();
	/** Calls `listener` from now on; returns a function that removes it. A `signal` removes it as well. */
	on(name, listener, signal) {
		const listeners = this.#all.get(name) ?? /* @__PURE__ */ new Set();
		this.#all.set(name, listeners.add(listener));
		const off = () => void listeners.delete(listener);
		if (signal?.aborted) off();
		signal?.addEventListener("abort", off, { once: true });
		return off;
	}
	/** Calls the listeners of `name`. An error of one is reported as uncaught, and the others are called all the same. */
	emit(name, event) {
		for (const listener of [...this.#all.get(name) ?? []]) try {
			listener(event);
		} catch (error) {
			queueMicrotask(() => {
				throw error;
			});
		}
	}
};

// dist/peer-figures.js
/** Statistics of received media, from `RTCPeerConnection.getStats`. */
const EMPTY = {
	waited: 0,
	emitted: 0,
	roundTripMs: 0,
	audioPlayoutMs: 0,
	videoPlayoutMs: 0,
	framesPerSecond: null,
	width: null,
	height: null,
	lost: 0
};
function read(report) {
	const sample = { ...EMPTY };
	report.forEach((stat) => {
		if (stat.type === "inbound-rtp") inbound(stat, sample);
		const pair = stat;
		if (stat.type === "candidate-pair" && pair.nominated) sample.roundTripMs = 1e3 * (pair.currentRoundTripTime ?? 0);
	});
	return sample;
}
/** Computes the figures of the time between two samples of one connection. */
function figuresBetween(before, sample) {
	const { audioPlayoutMs, videoPlayoutMs } = sample;
	const emitted = sample.emitted - before.emitted;
	const waited = emitted > 0 ? 1e3 * (sample.waited - before.waited) / emitted : null;
	return {
		receiveMs: waited === null ? null : waited + sample.roundTripMs / 2,
		skewMs: audioPlayoutMs > 0 && videoPlayoutMs > 0 ? audioPlayoutMs - videoPlayoutMs : null,
		framesPerSecond: sample.framesPerSecond,
		width: sample.width,
		height: sample.height,
		packetsLost: sample.lost
	};
}
function inbound(stat, sample) {
	sample.lost += stat.packetsLost ?? 0;
	if (stat.kind === "audio") {
		sample.audioPlayoutMs = stat.estimatedPlayoutTimestamp ?? 0;
		return;
	}
	sample.videoPlayoutMs = stat.estimatedPlayoutTimestamp ?? 0;
	sample.waited = stat.jitterBufferDelay ?? 0;
	sample.emitted = stat.jitterBufferEmittedCount ?? 0;
	sample.framesPerSecond = stat.framesPerSecond ?? null;
	sample.width = stat.frameWidth ?? null;
	sample.height = stat.frameHeight ?? null;
}

// dist/peer.js
/** Keeps a WebRTC connection to a server alive: it restarts ICE, and where that fails it reconnects. */
/** A connection that is `disconnected` for so long counts as lost. */
const DISCONNECT_TIMEOUT_MS = 5e3;
/** ICE is restarted for so long, unless the server answers that it cannot. */
const RESTARTING_MS = 25e3;
/** From a restart until media flow. */
const RESTART_TIMEOUT_MS$1 = 8e3;
/** From an answer until media flow. Longer than the server waits for a peer. */
const CONNECT_TIMEOUT_MS = 2e4;
const RESTART_PAUSE_MS = 1e3;
/** Pauses between attempts to reconnect: doubled with each, up to the maximum, and a quarter more or less. */
const FIRST_PAUSE_MS$1 = 500;
const MAX_PAUSE_MS$1 = 8e3;
var Peer = class {
	connector;
	signal;
	/** The received tracks, added as the connection learns of them. After reconnecting they are those of the new one. */
	media;
	/** Resolves when it is closed; with an error where this side did not close it. */
	closed;
	#over = deferred();
	#listeners = new Listeners();
	#stop = new AbortController();
	#link;
	#resource;
	#state;
	#isRecovering = false;
	#timer;
	#lastSample = EMPTY;
	/** `signal` aborts connecting and reconnecting. */
	constructor(connector, signal) {
		this.connector = connector;
		this.signal = signal;
		if (typeof MediaStream === "undefined") throw new UnsupportedError("no WebRTC here (in Node, open a stream with output.video instead)");
		this.closed = this.#over.promise;
		this.media = new MediaStream();
		this.#link = this.#createLink();
	}
	/** The connection that is in use. */
	get connection() {
		return this.#link.connection;
	}
	/** Calls `listener` from now on; returns a function that removes it. A `signal` removes it as well. */
	on(name, listener, signal) {
		return this.#listeners.on(name, listener, signal);
	}
	/** Resolves when media can flow. Throws `HttpError`, `PeerError`, or the signal's reason; then it is closed. */
	async connect() {
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
	async close(isKnown = false) {
		clearTimeout(this.#timer);
		this.#stop.abort(new PeerError("the connection was closed"));
		this.#over.resolve(void 0);
		this.#setState("closed");
		const resource = this.#resource;
		this.#resource = void 0;
		if (!isKnown) await resource?.end();
		this.connection.close();
		for (const track of this.media.getTracks()) track.stop();
	}
	/** Computes figures of the time since the last call. */
	async figures() {
		const { connection } = this;
		const sample = read(await connection.getStats());
		const figures = figuresBetween(this.#lastSample, sample);
		if (connection === this.connection) this.#lastSample = sample;
		return figures;
	}
	#createLink() {
		const link = {
			connection: this.connector.create(),
			tracks: []
		};
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
	async #connectLink(link) {
		const { signal } = this.#stop;
		let resource;
		try {
			resource = await this.connector.negotiate(link.connection, signal);
			if (await waitForState(link.connection, ["connected", "failed"], CONNECT_TIMEOUT_MS, signal) !== "connected") throw new PeerError("the server cannot be reached by WebRTC (is UDP blocked?)");
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
		for (const transport of transportsOf(link.connection)) transport.addEventListener("statechange", () => {
			if (link === this.#link) this.#checkState();
		});
		this.#setState("open");
		this.#checkState();
	}
	#checkState() {
		clearTimeout(this.#timer);
		if (this.#state !== "open" || this.#isRecovering) return;
		const state = this.connection.connectionState;
		const lost = new PeerError("the connection was lost");
		if (transportsOf(this.connection).some((transport) => transport.state === "closed")) {
			this.#recover(new PeerError("the server closed the connection"));
			return;
		}
		if (state === "disconnected") this.#timer = setTimeout(() => void this.#recover(lost), DISCONNECT_TIMEOUT_MS);
		if (state === "failed") this.#recover(lost);
	}
	async #recover(lost) {
		const { signal } = this.#stop;
		const off = this.#abortWithSignal();
		this.#isRecovering = true;
		try {
			const cause = await this.#restart(lost);
			if (cause !== void 0) await this.#reconnect(cause);
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
	async #restart(lost) {
		const { signal } = this.#stop;
		const restart = this.#resource?.restart?.bind(this.#resource);
		const ice = this.connection.iceConnectionState;
		if (restart === void 0 || ice === "connected" || ice === "completed") return lost;
		const until = performance.now() + RESTARTING_MS;
		this.#setState("restarting");
		for (;;) {
			try {
				await abortable(restart(), signal);
				if (await waitForState(this.connection, ["connected"], RESTART_TIMEOUT_MS$1, signal)) return void 0;
			} catch (error) {
				if (signal.aborted) throw error;
				if (error instanceof MyTalkError && cannotRestart(error)) return error;
			}
			if (performance.now() > until) return lost;
			await sleep(RESTART_PAUSE_MS, signal);
		}
	}
	/** Replaces the connection that was lost. Throws the error of the last attempt. */
	async #reconnect(cause) {
		const { signal } = this.#stop;
		const of = this.connector.reconnects;
		if (!(cause instanceof GoneError)) this.#resource?.end();
		this.#resource = void 0;
		for (let attempt = 1; attempt <= of; attempt += 1) {
			this.#setState("reconnecting");
			this.#listeners.emit("reconnecting", {
				attempt,
				of,
				cause
			});
			if (attempt > 1) await sleep(pause(attempt), signal);
			signal.throwIfAborted();
			try {
				return await this.#connectLink(this.#createLink());
			} catch (error) {
				if (signal.aborted || isFinal(error)) throw error;
				cause = error;
			}
		}
		throw cause;
	}
	/** Has the caller's signal abort this attempt. One that was aborted before, on an open connection, does not. */
	#abortWithSignal() {
		const { signal } = this;
		const abort = () => this.#stop.abort(signal?.reason);
		signal?.addEventListener("abort", abort, { once: true });
		return () => signal?.removeEventListener("abort", abort);
	}
	#setState(state) {
		if (this.#state === state || this.#state === "closed") return;
		this.#state = state;
		this.#listeners.emit("connection", state);
	}
};
/**
* The DTLS transports of a connection: one, where its media are bundled. The state of one that the other side closes is
* "closed" at once; that of the connection is "disconnected" only 5 s after its last packet.
*/
function transportsOf(connection) {
	return [...new Set(connection.getReceivers().flatMap(({ transport }) => transport ?? []))];
}
function pause(attempt) {
	return Math.min(MAX_PAUSE_MS$1, FIRST_PAUSE_MS$1 * 2 ** (attempt - 2)) * (.75 + Math.random() / 2);
}
/** Tells whether a further restart is useless. A busy server may be free, and the network back, a second later. */
function cannotRestart(error) {
	if (error instanceof NetworkError) return false;
	if (error instanceof HttpError) return error.status !== 429 && (error.status < 500 || error.status === 501);
	return true;
}
/** Tells whether reconnecting is useless: the session is gone, or the token is no longer valid. */
function isFinal(error) {
	return error instanceof HttpError && !(error instanceof BusyError) && error.status < 500;
}
function asPeerError(error) {
	if (error instanceof PeerError) return error;
	return new PeerError(`the connection was lost: ${error.message}`, { cause: error });
}

// dist/playback.js
/** Playback on an element of the page. */
/** Plays `media`, also without `autoplay`. Where the browser wants a gesture first, the element stays paused. */
function play(element, media) {
	element.srcObject = media;
	element.play().catch((error) => {
		if (error.name !== "NotAllowedError" && error.name !== "AbortError") throw error;
	});
}

// dist/request.js
/** HTTP requests, with the errors of this package. */
/** Sends a request. Throws `HttpError` for an error answer, `NetworkError` where none comes, or the signal's reason. */
async function request(fetching, url, init) {
	let response;
	try {
		response = await fetching(url, init);
	} catch (cause) {
		if (!(cause instanceof TypeError)) throw cause;
		throw new NetworkError(`${new URL(url).host} cannot be reached (${cause.message})`, { cause });
	}
	if (!response.ok) throw await HttpError.from(response);
	return response;
}

// dist/retry.js
/** Asks a busy server again, when it said to. */
const MIN_PAUSE_MS = 200;
/**
* Runs `work`, and again after the `Retry-After` of a `BusyError`, for at most `patienceMs` milliseconds. Throws what
* `work` throws last, what `onBusy` throws, or the signal's reason.
*/
async function whileBusy(work, patienceMs, { signal, onBusy } = {}) {
	const until = performance.now() + patienceMs;
	for (;;) try {
		return await work();
	} catch (error) {
		if (!(error instanceof BusyError) || error.retryAfter === void 0) throw error;
		const waitMs = Math.max(1e3 * error.retryAfter, MIN_PAUSE_MS);
		if (performance.now() + waitMs > until) throw error;
		onBusy?.(error, waitMs);
		await sleep(waitMs, signal);
	}
}

// dist/token.js
/** Bearer tokens, and their renewal. */
const currentToken = (token) => typeof token === "function" ? token() : token;
/** Pause before another attempt to renew, where the server was not reached or had no time. */
const RETRY_MS = 5e3;
const MAX_TIMER_MS = 2 ** 31 - 1;
/**
* A token that is renewed at half of its lifetime while its session lives. Once the server refuses to renew it, it
* stays as it is.
*/
var RenewedToken = class {
	right;
	url;
	fetching;
	renewed;
	#token;
	#over = false;
	#timer;
	/** `url`: the session's `tokens` route. `right`: of the token, as the server names it. */
	constructor(token, right, url, fetching, renewed = () => void 0) {
		this.right = right;
		this.url = url;
		this.fetching = fetching;
		this.renewed = renewed;
		this.#token = token;
	}
	/** The newest token. */
	get current() {
		return this.#token;
	}
	get isRenewed() {
		return this.#timer !== void 0;
	}
	/** Renews it after `ms` milliseconds, and from then on at half of each lifetime. */
	renewAfter(ms) {
		if (this.#over) return;
		this.#timer = setTimeout(() => void this.#renew(), Math.min(ms, MAX_TIMER_MS));
		this.#timer.unref?.();
	}
	/** Ends the renewing. */
	stop() {
		this.#over = true;
		clearTimeout(this.#timer);
	}
	async #renew() {
		try {
			const headers = {
				Authorization: `Bearer ${this.#token}`,
				"Content-Type": "application/json"
			};
			const body = JSON.stringify({ right: this.right });
			const { token, expires_in: seconds } = await (await request(this.fetching, this.url(), {
				method: "POST",
				headers,
				body
			})).json();
			this.#token = token;
			this.renewAfter(500 * seconds);
			if (!this.#over) this.renewed(token);
		} catch (error) {
			if (!(error instanceof HttpError && !(error instanceof BusyError) && error.status < 500)) this.renewAfter(RETRY_MS);
		}
	}
};

// dist/signalling.js
/** Signals as WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) do: POST an offer, PATCH candidates, DELETE. */
/** Candidates found by then are in the offer; later ones are trickled. */
const GATHER_TIMEOUT_MS$1 = 250;
const PATIENCE_MS$1 = 1e4;
/** An ICE restart that is not answered by then is retried, for the network may have changed. */
const RESTART_TIMEOUT_MS = 5e3;
const FRAGMENT = "application/trickle-ice-sdpfrag";
const RECONNECTS = 6;
/** Makes what a peer needs to connect to an endpoint, and to reconnect. */
function connectorOf(create, url, options) {
	const negotiate = (connection, signal) => Resource.post(connection, url, {
		...options,
		signal
	});
	return {
		create,
		negotiate,
		reconnects: options.reconnects ?? RECONNECTS
	};
}
/** The WHIP or WHEP resource of one connection (RFC 9725, 4.2). */
var Resource = class Resource {
	connection;
	url;
	options;
	#etag;
	constructor(connection, url, options, response) {
		this.connection = connection;
		this.url = url;
		this.options = options;
		this.#etag = response.headers.get("ETag");
	}
	/** Posts the offer, and applies the answer. */
	static async post(connection, url, options) {
		await connection.setLocalDescription();
		const late = lateCandidates(connection);
		await gatherCandidates(connection, options.signal);
		late.length = 0;
		const offer = connection.localDescription?.sdp;
		if (offer === void 0) throw new PeerError("the browser made no offer");
		const response = await postWithRetry(url, offer, options);
		const servers = iceServersOf(response.headers.get("Link"));
		if (servers.length > 0 && options.iceServers === void 0) connection.setConfiguration({ iceServers: servers });
		const location = response.headers.get("Location");
		if (location === null) throw new PeerError("the answer names no Location (is this a WHIP or WHEP endpoint?)");
		await connection.setRemoteDescription({
			type: "answer",
			sdp: await response.text()
		});
		const resource = new Resource(connection, new URL(location, response.url || url).href, options, response);
		await resource.#trickleAll(late);
		return resource;
	}
	/**
	* Attempts an ICE restart (RFC 9725, 4.3.3): new credentials and candidates for the same media. Resolves when both
	* sides know them. Throws `HttpError` and others; then the connection is as it was.
	*/
	async restart() {
		const { connection } = this;
		const before = connection.remoteDescription?.sdp ?? "";
		connection.restartIce();
		const late = lateCandidates(connection);
		await connection.setLocalDescription();
		try {
			await gatherCandidates(connection);
			const body = fragment(connection.localDescription?.sdp ?? "", late.splice(0));
			const headers = {
				"Content-Type": FRAGMENT,
				"If-Match": "*"
			};
			const signal = AbortSignal.timeout(RESTART_TIMEOUT_MS);
			const response = await send(this.url, {
				method: "PATCH",
				headers,
				body,
				signal
			}, this.options);
			if (response.status !== 200) throw new PeerError("the server did not restart ICE (it took candidates only)");
			const sdp = restarted(before, await response.text());
			this.#etag = response.headers.get("ETag");
			await connection.setRemoteDescription({
				type: "answer",
				sdp
			});
		} catch (error) {
			await connection.setLocalDescription({ type: "rollback" }).catch(() => void 0);
			throw error;
		}
		await this.#trickleAll(late);
	}
	/** Deletes the resource. A failure is ignored: the server drops it anyway once the connection is silent. */
	async end() {
		this.connection.onicecandidate = null;
		await send(this.url, {
			method: "DELETE",
			keepalive: true
		}, this.options).catch(() => void 0);
	}
	/** Sends the candidates found after the offer, and those to come. */
	async #trickleAll(late) {
		this.connection.onicecandidate = ({ candidate }) => void this.#trickle([candidate]);
		if (late.length > 0) await this.#trickle(late.splice(0));
	}
	/** RFC 8840. A failure is ignored: a server may take no candidates (405, 501), or have restarted ICE. */
	async #trickle(candidates) {
		const body = fragment(this.connection.localDescription?.sdp ?? "", candidates);
		const headers = { "Content-Type": FRAGMENT };
		if (this.#etag !== null) headers["If-Match"] = this.#etag;
		await send(this.url, {
			method: "PATCH",
			headers,
			body
		}, this.options).catch(() => void 0);
	}
};
/** Reads the ICE servers of a Link header (RFC 9725, 4.6). */
function iceServersOf(link) {
	const servers = [];
	for (const [, url, rest] of (link ?? "").matchAll(/<((?:stun|turn)s?:[^>]+)>((?:\s*;\s*[\w-]+="?[^",;]*"?)*)/g)) {
		const named = Object.fromEntries([...rest.matchAll(/([\w-]+)="?([^",;]*)"?/g)].map(([, name, value]) => [name, value]));
		if (named["rel"] !== "ice-server") continue;
		const { username, credential } = named;
		servers.push({
			urls: url,
			...username && { username },
			...credential && { credential }
		});
	}
	return servers;
}
/** Writes candidates as `application/trickle-ice-sdpfrag`; null stands for the end of candidates. */
function fragment(offer, candidates) {
	const named = (name) => new RegExp(`^a=${name}:.*$`, "m").exec(offer)?.[0];
	const lines = [named("ice-ufrag"), named("ice-pwd")].filter((line) => line !== void 0);
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
function restarted(answer, theirs) {
	const named = (name) => new RegExp(`^a=${name}:.*$`, "m").exec(theirs)?.[0].trim();
	const [user, password] = [named("ice-ufrag"), named("ice-pwd")];
	if (user === void 0 || password === void 0) throw new PeerError("the server's fragment has no ICE credentials");
	const candidates = new Map(sections(theirs).map((lines) => [midOf(lines), lines.filter(isCandidate)]));
	return sections(answer).map((lines) => [...lines.filter((line) => !isCandidate(line)).map((line) => line.startsWith("a=ice-ufrag:") ? user : line.startsWith("a=ice-pwd:") ? password : line), ...midOf(lines) !== void 0 && candidates.get(midOf(lines)) || []]).flat().join("\r\n") + "\r\n";
}
const isCandidate = (line) => line.startsWith("a=candidate:") || line === "a=end-of-candidates";
const midOf = (lines) => lines.find((line) => line.startsWith("a=mid:"));
/** Splits SDP into the lines of its sections; the first holds what comes before the first `m=`. */
function sections(sdp) {
	return sdp.split(/^(?=m=)/m).map((section) => section.split(/\r?\n/).filter((line) => line !== ""));
}
/** Posts; while the endpoint is busy, waits for its `Retry-After` and posts again. */
function postWithRetry(url, offer, options) {
	const headers = { "Content-Type": "application/sdp" };
	const post = () => send(url, {
		method: "POST",
		headers,
		body: offer
	}, options);
	return whileBusy(post, options.patienceMs ?? PATIENCE_MS$1, options);
}
/** Sends a request with the token. Throws as `request` does. */
async function send(url, init, options) {
	const { token } = options;
	const authorization = token === void 0 ? {} : { Authorization: `Bearer ${currentToken(token)}` };
	const { signal, fetch: fetching = fetch } = options;
	const headers = {
		...authorization,
		...init.headers
	};
	const aborted = signal !== void 0 && init.method === "POST" ? { signal } : {};
	return await request(fetching, url, {
		...init,
		headers,
		...aborted
	});
}
/** Resolves when all candidates are found, or after `ms` milliseconds. */
async function gatherCandidates(connection, signal, ms = GATHER_TIMEOUT_MS$1) {
	if (connection.iceGatheringState === "complete") return;
	const stop = new AbortController();
	const complete = new Promise((resolve) => {
		const check = () => connection.iceGatheringState === "complete" && resolve();
		connection.addEventListener("icegatheringstatechange", check, { signal: stop.signal });
	});
	try {
		await Promise.race([complete, sleep(ms, signal)]);
	} finally {
		stop.abort();
	}
}
function lateCandidates(connection) {
	const late = [];
	connection.onicecandidate = ({ candidate }) => void late.push(candidate);
	return late;
}

// dist/call.js
/** Sends camera and microphone and receives the dubbed video, on one connection. */
/** The route takes no trickled candidates: those found later are not used. */
const GATHER_TIMEOUT_MS = 1500;
/** Sends the tracks of `media` (null: none) and receives sound and picture; resolves when media can flow. */
async function call(url, media, options = {}) {
	const { element, iceServers = [], signal } = options;
	signal?.throwIfAborted();
	const create = () => {
		const connection = new RTCPeerConnection({ iceServers });
		for (const kind of ["audio", "video"]) {
			const track = media?.getTracks().find((one) => one.kind === kind);
			connection.addTransceiver(track ?? kind, { direction: track === void 0 ? "recvonly" : "sendrecv" });
		}
		return connection;
	};
	const negotiate = async (connection, stop) => {
		await connection.setLocalDescription();
		await gatherCandidates(connection, stop, GATHER_TIMEOUT_MS);
		const body = JSON.stringify(connection.localDescription);
		const response = await send(url, {
			method: "POST",
			headers: { "Content-Type": "application/json" },
			body
		}, {
			...options,
			signal: stop
		});
		await connection.setRemoteDescription(await response.json());
		return { end: () => Promise.resolve() };
	};
	const peer = new Peer({
		create,
		negotiate,
		reconnects: 0
	}, signal);
	if (element !== void 0) play(element, peer.media);
	return await peer.connect();
}

// dist/picture-decoder.js
/** Decodes the pictures of a stream: H264 (Annex B) by WebCodecs, JPEG, PNG and WebP by the browser's image decoder. */
const UNIT_US = 1e6 / 16e3;
/** Baseline at level 3.1, where a stream's parameter sets do not tell the codec. */
const FALLBACK_CODEC = "avc1.42e01f";
/** Tells whether this browser decodes H264 by WebCodecs. */
async function decodesH264() {
	if (typeof VideoDecoder !== "function") return false;
	return (await VideoDecoder.isConfigSupported({ codec: FALLBACK_CODEC }).catch(() => void 0))?.supported === true;
}
/** Reads the codec (RFC 6381, `avc1.PPCCLL`) from the sequence parameter set of an access unit. */
function codecOf(unit) {
	for (let i = 0; i + 6 < unit.length; i += 1) {
		if (!(unit[i] === 0 && unit[i + 1] === 0 && unit[i + 2] === 1) || (unit[i + 3] & 31) !== 7) continue;
		return `avc1.${[...unit.subarray(i + 4, i + 7)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
	}
}
var H264Decoder = class {
	show;
	failed;
	#decoder;
	#codec = "";
	constructor(show, failed) {
		this.show = show;
		this.failed = failed;
		this.#decoder = this.#make();
	}
	push(media) {
		if (media.keyframe) this.#configure(codecOf(media.data) ?? FALLBACK_CODEC);
		if (this.#decoder.state !== "configured") return;
		const type = media.keyframe ? "key" : "delta";
		const timestamp = Math.round(media.pts * UNIT_US);
		this.#decoder.decode(new EncodedVideoChunk({
			type,
			timestamp,
			data: media.data
		}));
	}
	close() {
		if (this.#decoder.state !== "closed") this.#decoder.close();
	}
	#configure(codec) {
		if (this.#decoder.state === "closed") this.#decoder = this.#make();
		else if (this.#decoder.state === "configured" && codec === this.#codec) return;
		this.#codec = codec;
		this.#decoder.configure({
			codec,
			optimizeForLatency: true
		});
	}
	#make() {
		return new VideoDecoder({
			output: (image) => this.show({
				pts: Math.round(image.timestamp / UNIT_US),
				image
			}),
			error: (error) => this.failed(error)
		});
	}
};
var ImageDecoder = class {
	show;
	failed;
	#isClosed = false;
	#last = Promise.resolve();
	constructor(show, failed) {
		this.show = show;
		this.failed = failed;
	}
	/** Decodes a picture. They are shown in order, however long each takes. */
	push({ pts, data, kind }) {
		const decoded = createImageBitmap(new Blob([data], { type: `image/${kind}` }));
		decoded.catch(() => void 0);
		this.#last = this.#last.then(async () => {
			try {
				const image = await decoded;
				if (this.#isClosed) image.close();
				else this.show({
					pts,
					image
				});
			} catch (error) {
				this.failed(error);
			}
		});
	}
	close() {
		this.#isClosed = true;
	}
};

// dist/pcm.js
/** Converts samples from -1 to 1 to 16 bit. Louder ones are clipped. */
function toPcm16(samples) {
	const pcm = new Int16Array(samples.length);
	for (let i = 0; i < samples.length; i += 1) pcm[i] = Math.max(-32768, Math.min(32767, Math.round(samples[i] * 32767)));
	return pcm;
}
/** Encodes samples as 16 bit, little endian. A view of them where the machine is little endian. */
function pcmBytes(samples) {
	if (LITTLE_ENDIAN) return new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
	const view = new DataView(new ArrayBuffer(samples.byteLength));
	samples.forEach((sample, index) => view.setInt16(2 * index, sample, true));
	return new Uint8Array(view.buffer);
}
/** Decodes 16 bit, little endian. */
function pcmSamples(bytes) {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	return Int16Array.from({ length: bytes.byteLength >> 1 }, (_, index) => view.getInt16(2 * index, true));
}
const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

// dist/sound-player.js
/** Plays the sound of a stream. Pictures follow its clock. */
const RATE = 48e3;
/** Media time: samples at 16 kHz. */
const MEDIA_RATE$1 = 16e3;
/** Seconds from receiving to hearing: the jitter buffer. */
const JITTER_BUFFER_S = .12;
/** A larger gap in media time resets the clock. */
const MAX_GAP = MEDIA_RATE$1 / 2;
var SoundPlayer = class {
	context = new AudioContext({
		sampleRate: RATE,
		latencyHint: "interactive"
	});
	#playing = /* @__PURE__ */ new Set();
	#next = 0;
	#origin;
	/** Starts the clock. Browsers allow it only after a user gesture: call it from a click. */
	async start() {
		await this.context.resume();
	}
	/** Schedules the next 20 ms: 48 kHz, stereo. */
	push({ pts, data }) {
		const samples = pcmSamples(data);
		const buffer = this.context.createBuffer(2, samples.length / 2, RATE);
		for (const channel of [0, 1]) {
			const target = buffer.getChannelData(channel);
			for (let i = 0; i < target.length; i += 1) target[i] = samples[2 * i + channel] / 32768;
		}
		const now = this.context.currentTime;
		const due = this.#origin === void 0 ? 0 : this.#origin + pts / MEDIA_RATE$1;
		if (this.#origin === void 0 || due < now || Math.abs(pts - this.#next) > MAX_GAP) this.#origin = now + JITTER_BUFFER_S - pts / MEDIA_RATE$1;
		this.#next = pts + buffer.length / (RATE / MEDIA_RATE$1);
		const source = new AudioBufferSourceNode(this.context, { buffer });
		source.connect(this.context.destination);
		source.onended = () => this.#playing.delete(source);
		this.#playing.add(source);
		source.start(this.#origin + pts / MEDIA_RATE$1);
	}
	/** Media time that is being heard; undefined before there is any. */
	get heard() {
		if (this.#origin === void 0) return void 0;
		const latency = this.context.outputLatency || this.context.baseLatency || 0;
		return (this.context.currentTime - latency - this.#origin) * MEDIA_RATE$1;
	}
	/** Media time of the end of the sound received so far. */
	get end() {
		return this.#next;
	}
	/** Barge-in: drops the sound that is scheduled. */
	clear() {
		for (const source of this.#playing) source.stop();
		this.#playing.clear();
	}
	close() {
		this.clear();
		if (this.context.state !== "closed") this.context.close();
	}
};

// dist/canvas-player.js
/** Plays a stream's media on a canvas and the loudspeaker: a picture is drawn when the sound of its time is heard. */
/** Decoded pictures that wait for their time. Full: the oldest is dropped. */
const MAX_PICTURES = 30;
const UNITS_PER_MS = 16;
var CanvasPlayer = class {
	canvas;
	failed;
	sound = new SoundPlayer();
	/** Pictures drawn so far. */
	drawn = 0;
	#context;
	#decodedPictures = [];
	#off;
	#decoder;
	#shown;
	#frame = 0;
	/** Plays the pictures (all but `fmp4`) and the `pcm16` of `stream` from now on. `failed` is called for undecodable pictures. */
	constructor(canvas, stream, failed = () => void 0) {
		this.canvas = canvas;
		this.failed = failed;
		this.#context = canvas.getContext("2d");
		this.#off = [stream.on("media", (media) => this.#push(media)), stream.on("playback.finished", ({ interrupted }) => interrupted && this.sound.clear())];
		this.#frame = requestAnimationFrame(() => this.#draw());
	}
	/** Milliseconds by which the sound that is heard is ahead of the picture that is seen; null before there are both. */
	get skewMs() {
		const { heard } = this.sound;
		return heard === void 0 || this.#shown === void 0 ? null : (heard - this.#shown) / UNITS_PER_MS;
	}
	/** Milliseconds that the newest sound waits before it is heard; null before there is any. */
	get waitMs() {
		const { heard, end } = this.sound;
		return heard === void 0 ? null : (end - heard) / UNITS_PER_MS;
	}
	close() {
		cancelAnimationFrame(this.#frame);
		for (const off of this.#off) off();
		this.#decoder?.decoder.close();
		for (const { image } of this.#decodedPictures.splice(0)) image.close();
		this.sound.close();
	}
	#push(media) {
		if (media.kind === "audio") this.sound.push(media);
		else if (media.kind !== "fmp4") this.#decoderOf(media.kind).push(media);
	}
	#decoderOf(kind) {
		if (this.#decoder?.kind !== kind) {
			this.#decoder?.decoder.close();
			const made = kind === "h264" ? H264Decoder : ImageDecoder;
			this.#decoder = {
				kind,
				decoder: new made((picture) => this.#decoded(picture), this.failed)
			};
		}
		return this.#decoder.decoder;
	}
	#decoded(picture) {
		this.#decodedPictures.push(picture);
		if (this.#decodedPictures.length > MAX_PICTURES) this.#decodedPictures.shift()?.image.close();
	}
	#draw() {
		this.#frame = requestAnimationFrame(() => this.#draw());
		const due = this.sound.heard ?? Infinity;
		let newest;
		while (this.#decodedPictures[0] !== void 0 && this.#decodedPictures[0].pts <= due) {
			newest?.image.close();
			newest = this.#decodedPictures.shift();
		}
		if (newest === void 0) return;
		const { image, pts } = newest;
		const [width, height] = "displayWidth" in image ? [image.displayWidth, image.displayHeight] : [image.width, image.height];
		if (this.canvas.width !== width) this.canvas.width = width;
		if (this.canvas.height !== height) this.canvas.height = height;
		this.#context?.clearRect(0, 0, width, height);
		this.#context?.drawImage(image, 0, 0);
		image.close();
		this.#shown = pts;
		this.drawn += 1;
	}
};

// dist/base64.js
/** Encodes bytes as base64 (RFC 4648, 4). */
function toBase64(bytes) {
	let text = "";
	for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
	return btoa(text);
}
/** Decodes base64. Throws `InvalidCharacterError`. */
function fromBase64(text) {
	return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// dist/packets.js
/** Packs and unpacks binary messages: a header of 16 bytes, little endian, and a payload (see PROTOCOL.md). */
const HEADER_BYTES = 16;
const KEYFRAME = 1;
const INIT = 2;
const TIMED = 4;
const SPEECH_KINDS = {
	pcm16: 1,
	opus: 2
};
const MEDIA_KINDS = {
	16: "audio",
	17: "h264",
	18: "jpeg",
	19: "fmp4",
	20: "png",
	21: "webp"
};
/** Packs speech. Throws `RangeError` for numbers that the header cannot hold. */
function packSpeech({ encoding, generation, pts, payload, timed = false }) {
	if (!Number.isSafeInteger(pts) || pts < 0) throw new RangeError(`pts is ${pts} (need 0 to 2^53 - 1)`);
	if (generation !== generation >>> 0) throw new RangeError(`generation is ${generation} (need 0 to 2^32 - 1)`);
	if (payload.length === 0) throw new RangeError("a packet without speech (need at least a sample)");
	const bytes = new Uint8Array(16 + payload.length);
	const header = new DataView(bytes.buffer);
	header.setUint8(0, SPEECH_KINDS[encoding]);
	header.setUint8(1, timed ? TIMED : 0);
	header.setUint32(4, generation, true);
	header.setBigUint64(8, BigInt(pts), true);
	bytes.set(payload, 16);
	return bytes;
}
/** Unpacks media. The payload is a view of `bytes`. Throws `ProtocolError`. */
function unpackMedia(bytes) {
	if (bytes.length <= 16) throw new ProtocolError("bad_packet", `${bytes.length} bytes (need a header of ${16} and a payload)`);
	const header = new DataView(bytes.buffer, bytes.byteOffset, 16);
	const kind = MEDIA_KINDS[header.getUint8(0)];
	if (kind === void 0) throw new ProtocolError("bad_packet", `kind ${header.getUint8(0)} is not the server's (need 16 to 21)`);
	const flags = header.getUint8(1);
	const pts = header.getBigUint64(8, true);
	if (flags & -4 || header.getUint16(2, true) !== 0 || pts > Number.MAX_SAFE_INTEGER) throw new ProtocolError("bad_packet", "the header has flags or values that this version does not know");
	return {
		type: "media",
		kind,
		generation: header.getUint32(4, true),
		pts: Number(pts),
		data: bytes.subarray(16),
		keyframe: (flags & KEYFRAME) !== 0,
		init: (flags & INIT) !== 0
	};
}

// dist/codec.js
/** Parses and writes messages of `mytalk.v1`. Sans-IO: no socket, no clock. */
const SUBPROTOCOL = "mytalk.v1";
/** A browser cannot set headers: it offers this and its token as a second subprotocol. */
const TOKEN_PREFIX = "mytalk.token.";
/** Parses a message of the server. Throws `ProtocolError`; code `unknown_type` means a message to ignore. */
function parseServer(data) {
	return typeof data === "string" ? parseText(data) : unpackMedia(data);
}
/** Writes a message as JSON, with bytes as base64. */
function toText(message) {
	return JSON.stringify(message, (_, value) => value instanceof Uint8Array ? toBase64(value) : value);
}
/** Tells whether both sides count messages of this type, so that resuming repeats them. Packets are counted. */
function isCounted(type) {
	return !UNCOUNTED.has(type);
}
const UNCOUNTED = /* @__PURE__ */ new Set([
	"session.created",
	"session.resumed",
	"ping",
	"pong",
	"ack"
]);
const text = (value) => typeof value === "string";
const flag = (value) => typeof value === "boolean";
const count = (value) => Number.isSafeInteger(value) && value >= 0;
const object = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const limits = (value) => object(value) && [
	"message_bytes",
	"pause_ms",
	"buffer_ms",
	"resume_ms"
].every((name) => count(value[name]));
const among = (...values) => (value) => values.includes(value);
/** Fields that a message must have, and what they must be. Others may come and are kept. */
const NEEDED = {
	"session.created": {
		session_id: text,
		generation: count,
		output: object,
		controls: object,
		limits,
		disclosure: text
	},
	"session.resumed": {
		session_id: text,
		received: count,
		generation: count
	},
	"session.updated": {},
	"session.ended": { reason: text },
	"speech.committed": {
		utterance: count,
		length: count
	},
	"speech.dropped": {
		samples: count,
		generation: count
	},
	"speech.late": { dropped_ms: count },
	"face.lost": { reason: among("none", "small", "turned") },
	"face.found": { lost_ms: count },
	"face.changed": { pts: count },
	warning: {
		code: among("b_frames", "keyframe_interval"),
		message: text
	},
	"camera.left": { reason: among("silent", "gone") },
	"camera.back": { away_ms: count },
	"playback.started": {
		utterance: count,
		pts: count,
		generation: count
	},
	"playback.finished": {
		position: count,
		interrupted: flag,
		generation: count
	},
	"output.dropped": { pictures: count },
	media: {
		kind: among("audio", "h264", "jpeg", "fmp4", "png", "webp"),
		generation: count,
		pts: count,
		data: text
	},
	error: {
		code: text,
		message: text
	},
	ack: {
		received: count,
		buffered_ms: count
	},
	pong: {}
};
function parseText(data) {
	let fields;
	try {
		fields = JSON.parse(data);
	} catch (cause) {
		throw new ProtocolError("bad_json", `the message is not JSON (${String(cause).slice(0, 80)})`);
	}
	if (!object(fields)) throw new ProtocolError("bad_message", "the message is not a JSON object (need one with a type)");
	const type = fields["type"];
	if (typeof type !== "string" || !Object.hasOwn(NEEDED, type)) throw new ProtocolError("unknown_type", `type ${JSON.stringify(type)?.slice(0, 40)} is unknown`);
	for (const [name, fits] of Object.entries(NEEDED[type])) if (!fits(fields[name])) {
		const given = JSON.stringify(fields[name])?.slice(0, 40);
		throw new ProtocolError("bad_message", `${type}: ${name} is ${given} (see PROTOCOL.md)`);
	}
	if (type === "media") return media(fields);
	if (type === "error") return {
		fatal: false,
		...fields
	};
	return fields;
}
function media(fields) {
	try {
		const data = fromBase64(fields["data"]);
		return {
			keyframe: false,
			init: false,
			...fields,
			data
		};
	} catch {
		throw new ProtocolError("bad_message", "media: data is not base64");
	}
}

// dist/media-source-player.js
/** Plays fragmented MP4 of a stream by Media Source Extensions, for browsers without WebCodecs for H264. */
/** Stands for the H264 that the server may send; the init segment tells the profile. */
const BASELINE = "avc1.42e01f";
/** Seconds behind the newest fragment beyond which playback jumps forward. */
const MAX_LATENCY_S = 1;
/** Seconds behind the newest fragment after a jump. */
const TARGET_LATENCY_S = .25;
/** Seconds of played media that stay in the buffer. At twice as much the older half is removed. */
const HISTORY_S = 10;
/** Fragments that wait for the buffer: about 13 s. Full: playback fails, for none may be left out. */
const MAX_FRAGMENTS = 1024;
/** Tells whether this browser plays fragmented MP4. */
function playsFmp4() {
	return typeof MediaSource === "function" && MediaSource.isTypeSupported(typeOf(BASELINE));
}
/** Reads the codec (RFC 6381) of an init segment: three bytes of its `avcC` (ISO 14496-15, 5.3.3.1). */
function codecOfInit(init) {
	for (let i = 0; i + 8 <= init.length; i += 1) {
		if (String.fromCharCode(...init.subarray(i, i + 4)) !== "avcC") continue;
		return `avc1.${[...init.subarray(i + 5, i + 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
	}
}
var MediaSourcePlayer = class {
	video;
	failed;
	#source = new MediaSource();
	#url;
	#fragments = [];
	#off;
	#buffer;
	/** Plays the `fmp4` that `stream` sends from now on. `failed` is called with the reason where playback fails. */
	constructor(video, stream, failed = () => void 0) {
		this.video = video;
		this.failed = failed;
		if (!playsFmp4()) throw new UnsupportedError("this browser plays no fragmented MP4 (ask for jpeg)");
		this.#url = URL.createObjectURL(this.#source);
		video.srcObject = null;
		video.src = this.#url;
		this.#source.addEventListener("sourceopen", () => this.#feed(), { once: true });
		this.#off = stream.on("media", (media) => {
			if (media.kind !== "fmp4") return;
			this.#fragments.push(media);
			if (this.#fragments.length > MAX_FRAGMENTS) this.#fail(/* @__PURE__ */ new RangeError("the browser takes in no more video"));
			else this.#feed();
		});
	}
	/** Milliseconds of video that wait to be seen; null before there is any. */
	get waitMs() {
		const { buffered, currentTime } = this.video;
		return buffered.length === 0 ? null : 1e3 * (buffered.end(buffered.length - 1) - currentTime);
	}
	close() {
		this.#off();
		this.#fragments.length = 0;
		this.video.removeAttribute("src");
		this.video.load();
		URL.revokeObjectURL(this.#url);
	}
	/** Appends the fragments that wait, up to the next init segment. */
	#feed() {
		const [first] = this.#fragments;
		if (this.#source.readyState !== "open" || this.#buffer?.updating || first === void 0) return;
		try {
			if (first.init) this.#start(first.data);
			if (this.#buffer === void 0 || this.#trim(this.#buffer)) return;
			const next = this.#fragments.findIndex(({ init }, index) => init && index > 0);
			const parts = this.#fragments.splice(0, next < 0 ? this.#fragments.length : next);
			this.#buffer.appendBuffer(joined(parts));
		} catch (error) {
			this.#fail(error);
		}
	}
	/** Starts an MP4: the first, or one of another picture size. */
	#start(init) {
		const type = typeOf(codecOfInit(init) ?? BASELINE);
		if (this.#buffer !== void 0) {
			this.#buffer.changeType(type);
			return;
		}
		this.#buffer = this.#source.addSourceBuffer(type);
		this.#buffer.addEventListener("updateend", () => {
			this.#keepUp();
			this.#feed();
		});
	}
	/** Removes old media; true while that keeps the buffer busy. */
	#trim(buffer) {
		const { buffered, currentTime } = this.video;
		if (buffered.length === 0 || currentTime - buffered.start(0) < 20) return false;
		buffer.remove(buffered.start(0), currentTime - HISTORY_S);
		return true;
	}
	/** Jumps to the live edge where playback is far behind it. The first fragment does not begin at 0. */
	#keepUp() {
		const { buffered, currentTime } = this.video;
		if (buffered.length === 0) return;
		const begin = buffered.start(buffered.length - 1);
		const newest = buffered.end(buffered.length - 1);
		if (currentTime >= begin && newest - currentTime <= MAX_LATENCY_S) return;
		this.video.currentTime = Math.max(begin, newest - TARGET_LATENCY_S);
	}
	#fail(error) {
		this.#off();
		this.#fragments.length = 0;
		this.failed(error);
	}
};
function typeOf(codec) {
	return `video/mp4; codecs="${codec},mp4a.40.2"`;
}
function joined(parts) {
	const whole = new Uint8Array(parts.reduce((sum, { data }) => sum + data.length, 0));
	let at = 0;
	for (const { data } of parts) {
		whole.set(data, at);
		at += data.length;
	}
	return whole;
}

// dist/messages.js
/** The messages of `mytalk.v1`, named as on the wire (PROTOCOL.md): discriminated unions by `type`. */
const SPEECH_RATES = [
	8e3,
	11025,
	12e3,
	16e3,
	22050,
	24e3,
	32e3,
	44100,
	48e3
];

// dist/queue.js
/** A bounded queue with one reader, in order. */
var Queue = class {
	bound;
	full;
	onReturn;
	#items = [];
	#reader;
	#over;
	/**
	* @param bound items that it holds
	* @param full policy beyond: `drop-oldest`, or `fail`, which ends the queue with an error
	* @param onReturn called when its reader leaves the loop
	*/
	constructor(bound, full, onReturn) {
		this.bound = bound;
		this.full = full;
		this.onReturn = onReturn;
	}
	push(item) {
		if (this.#over !== void 0) return;
		if (this.#reader !== void 0) {
			const reader = this.#reader;
			this.#reader = void 0;
			reader.resolve({
				value: item,
				done: false
			});
			return;
		}
		this.#items.push(item);
		if (this.#items.length <= this.bound) return;
		if (this.full === "drop-oldest") this.#items.shift();
		else this.end(/* @__PURE__ */ new RangeError(`${this.bound} messages wait to be read (read them faster)`));
	}
	/** Ends it; what it holds can still be read. */
	end(error) {
		if (this.#over !== void 0) return;
		this.#over = error === void 0 ? {} : { error };
		if (this.#reader === void 0) return;
		if (error === void 0) this.#reader.resolve({
			value: void 0,
			done: true
		});
		else this.#reader.reject(error);
		this.#reader = void 0;
	}
	next() {
		if (this.#items.length > 0) return Promise.resolve({
			value: this.#items.shift(),
			done: false
		});
		if (this.#over?.error !== void 0) return Promise.reject(this.#over.error);
		if (this.#over !== void 0) return Promise.resolve({
			value: void 0,
			done: true
		});
		if (this.#reader !== void 0) return Promise.reject(/* @__PURE__ */ new TypeError("the queue is being read already"));
		return new Promise((resolve, reject) => this.#reader = {
			resolve,
			reject
		});
	}
	return() {
		this.#items = [];
		this.end();
		this.onReturn?.();
		return Promise.resolve({
			value: void 0,
			done: true
		});
	}
	[Symbol.asyncIterator]() {
		return this;
	}
};

// dist/microphone.js
/** A microphone as samples, captured by an AudioWorklet. */
/** Chunks of 20 ms that wait for a reader: 4 s. Full: the oldest is dropped, for speech that late is no use live. */
const MAX_CHUNKS = 200;
/**
* An async iterable of mono chunks of 20 ms, until `stop`.
*
*     const microphone = await Microphone.open();
*     await microphone.speakInto(stream);
*/
var Microphone = class Microphone {
	media;
	rate;
	context;
	ownsMedia;
	#chunks = new Queue(MAX_CHUNKS, "drop-oldest");
	constructor(media, rate, context, ownsMedia) {
		this.media = media;
		this.rate = rate;
		this.context = context;
		this.ownsMedia = ownsMedia;
	}
	/** Throws the browser's own `NotAllowedError` or `NotFoundError` where none may be used. */
	static async open(options = {}) {
		const { rate = 48e3, signal, worklet = new URL("./microphone-worklet.js", import.meta.url) } = options;
		if (!SPEECH_RATES.includes(rate)) throw new RangeError(`rate ${rate} (need one of ${SPEECH_RATES.join(", ")})`);
		if (typeof AudioWorkletNode !== "function") throw new UnsupportedError("no AudioWorklet (it needs a browser, and https: or localhost in the address)");
		signal?.throwIfAborted();
		const media = options.media ?? await navigator.mediaDevices.getUserMedia({ audio: CONSTRAINTS });
		const microphone = new Microphone(media, rate, new AudioContext({ sampleRate: rate }), options.media === void 0);
		try {
			await microphone.#capture(worklet);
			signal?.throwIfAborted();
		} catch (error) {
			microphone.stop();
			throw error;
		}
		signal?.addEventListener("abort", () => microphone.stop(), { once: true });
		return microphone;
	}
	/** Sends all that it captures, until it is stopped or the stream is over. The stream's format must be its own. */
	async speakInto(stream) {
		for await (const chunk of this) await stream.say(chunk);
	}
	[Symbol.asyncIterator]() {
		return this.#chunks;
	}
	stop() {
		this.#chunks.end();
		if (this.ownsMedia) for (const track of this.media.getTracks()) track.stop();
		if (this.context.state !== "closed") this.context.close();
	}
	async #capture(worklet) {
		await this.context.audioWorklet.addModule(worklet);
		const node = new AudioWorkletNode(this.context, "mytalk-microphone", { numberOfOutputs: 0 });
		node.port.onmessage = ({ data }) => this.#chunks.push(data);
		this.context.createMediaStreamSource(this.media).connect(node);
		await this.context.resume();
	}
};
const CONSTRAINTS = {
	echoCancellation: true,
	noiseSuppression: true,
	channelCount: 1
};

// dist/send-queue.js
/** Counted messages to the server, kept until it acknowledges them: a resumed connection sends them again. Sans-IO. */
var SendQueue = class {
	#kept = [];
	#first = 0;
	/** Messages so far. */
	get count() {
		return this.#first + this.#kept.length;
	}
	/** Milliseconds of speech that the server may not have yet. */
	get speechMs() {
		return this.#kept.reduce((sum, message) => sum + message.speechMs, 0);
	}
	push(message) {
		this.#kept.push(message);
	}
	/** Counts the speech in it as 0 ms, for after a clear none of it is heard. */
	clearSpeech() {
		for (const message of this.#kept) message.speechMs = 0;
	}
	/** Drops the first `received` messages. Throws `RangeError` where fewer were sent, or more acknowledged before. */
	acknowledge(received) {
		if (received < this.#first || received > this.count) throw new RangeError(`${received} messages received (sent: ${this.count}, kept from ${this.#first} on)`);
		this.#kept.splice(0, received - this.#first);
		this.#first = received;
	}
	/** Returns what the server does not have yet, in order. */
	unacknowledged() {
		return this.#kept;
	}
};

// dist/socket.js
/** Opens a WebSocket: the platform's own, or where it has none the one that the entry point for Node sets. */
let openFallback = () => Promise.reject(new UnsupportedError("no WebSocket here (pass one as the option socket)"));
const openSocket = (url, token, events) => typeof WebSocket === "function" ? openWebSocket(url, token, events) : openFallback(url, token, events);
const openWebSocket = (url, token, events) => new Promise((resolve, reject) => {
	const socket = new WebSocket(url, [SUBPROTOCOL, TOKEN_PREFIX + token]);
	let opened = false;
	socket.binaryType = "arraybuffer";
	socket.onopen = () => {
		opened = true;
		resolve({
			send: (data) => {
				if (socket.readyState === socket.OPEN) socket.send(data);
			},
			close: (code) => socket.close(code)
		});
	};
	socket.onmessage = ({ data }) => events.message(typeof data === "string" ? data : new Uint8Array(data));
	socket.onclose = ({ code }) => {
		if (opened) events.closed(code === 1005 ? 1006 : code);
		else reject(new DisconnectedError("the connection could not be opened", code));
	};
});

// dist/opus.js
/** Counts the samples (48 kHz) of one Opus packet: RFC 6716, 3.1 and 3.2. Throws `RangeError` for an invalid one. */
function opusSamples(packet) {
	const toc = packet[0];
	if (toc === void 0) throw new RangeError("an empty Opus packet");
	const config = toc >> 3;
	const frame = config < 12 ? [
		480,
		960,
		1920,
		2880
	][config & 3] : config < 16 ? [480, 960][config & 1] : 120 << (config & 3);
	const code = toc & 3;
	const frames = code === 0 ? 1 : code < 3 ? 2 : (packet[1] ?? 0) & 63;
	if (frames === 0) throw new RangeError("an Opus packet without frames");
	return frames * frame;
}

// dist/speech.js
/** Sends speech: cut into messages, with positions, and at most so far ahead of what is heard. */
/** Media time: samples at 16 kHz. */
const MEDIA_RATE = 16e3;
/** Messages a second, for PCM. */
const MESSAGE_RATE = 10;
var SpeechWriter = class {
	send;
	queue;
	aheadMs;
	generation = 0;
	#format;
	#pts = 0;
	#bufferedMs = 0;
	#clearedAt = 0;
	#wakeup;
	#last = Promise.resolve();
	#closed;
	#refused;
	/**
	* @param send sends a packet that holds `ms` milliseconds of speech
	* @param queue messages that the server may not have yet
	* @param aheadMs speech that may be unheard: here, on the network and at the server
	*/
	constructor(send, queue, aheadMs) {
		this.send = send;
		this.queue = queue;
		this.aheadMs = aheadMs;
	}
	/** Runs `work` when all work before it is done, so that speech keeps its order. */
	inOrder(work, signal) {
		const done = this.#last.then(() => {
			signal?.throwIfAborted();
			if (this.#closed !== void 0) throw this.#closed;
			return work();
		});
		this.#last = done.catch(() => void 0);
		return abortable(done, signal);
	}
	say(speech, { signal, at } = {}) {
		const generation = this.generation;
		return this.inOrder(async () => {
			const format = this.#format;
			if (format === void 0) throw new TypeError("speech without a format (call update({ speech: ... }) first)");
			let samples = 0;
			for (const part of parts(speech, format)) {
				while (generation === this.generation && this.#refused === void 0 && this.#unheardMs > this.aheadMs) await abortable((this.#wakeup ??= deferred()).promise, signal);
				if (generation !== this.generation) break;
				if (this.#refused !== void 0) throw this.#refused;
				const ms = 1e3 * part.samples / format.rate;
				const timed = at !== void 0;
				const pts = timed ? at + Math.floor(samples * MEDIA_RATE / format.rate) : this.#pts;
				this.send(packSpeech({
					encoding: format.encoding,
					generation,
					pts,
					payload: part.payload,
					timed
				}), ms);
				if (!timed) this.#pts += part.samples;
				samples += part.samples;
			}
			return samples;
		}, signal);
	}
	/** Sets the format of speech from now on. */
	setFormat(format) {
		this.#format = format;
		this.#pts = 0;
		this.#refused = void 0;
	}
	/** Stops sending, after the server refused a packet, until another format or a clear. */
	refuse(error) {
		this.#refused = error;
		this.#wake();
	}
	/** Begins a generation: speech that waits to be sent is dropped. */
	startGeneration(generation) {
		this.generation = generation;
		this.#pts = 0;
		this.#refused = void 0;
		this.#bufferedMs = 0;
		this.queue.clearSpeech();
		this.#clearedAt = this.queue.count;
		this.#wake();
	}
	/** Follows the generation of a message that came: another client may have cleared. */
	followGeneration(generation) {
		if (generation > this.generation) this.startGeneration(generation);
	}
	/** Takes the speech that the server held when it had `received` messages. A figure from before a clear is ignored. */
	setBuffered(ms, received) {
		if (received > this.#clearedAt || this.generation === 0) this.#bufferedMs = ms;
		this.#wake();
	}
	close(error) {
		this.#closed = error;
		this.#wakeup?.reject(error);
	}
	/** Milliseconds of speech that are not heard yet. */
	get #unheardMs() {
		return this.#bufferedMs + this.queue.speechMs;
	}
	#wake() {
		this.#wakeup?.resolve();
		this.#wakeup = void 0;
	}
};
function* parts(speech, format) {
	if (format.encoding === "opus") {
		if (!(speech instanceof Uint8Array)) throw new TypeError("samples, but the format is opus (need a Uint8Array, one packet)");
		yield {
			payload: speech,
			samples: opusSamples(speech)
		};
		return;
	}
	const unit = speech instanceof Uint8Array ? 2 * format.channels : format.channels;
	if (speech.length % unit !== 0) {
		const kind = speech instanceof Uint8Array ? "bytes of 16-bit PCM" : "samples";
		throw new RangeError(`${speech.length} ${kind} (need a multiple of ${unit} for ${format.channels} channels)`);
	}
	const step = Math.floor(format.rate / MESSAGE_RATE) * unit;
	for (let at = 0; at < speech.length; at += step) {
		const part = speech.subarray(at, at + step);
		const pcm = part instanceof Float32Array ? toPcm16(part) : part;
		yield {
			payload: pcm instanceof Uint8Array ? pcm : pcmBytes(pcm),
			samples: part.length / unit
		};
	}
}

// dist/transport.js
/** Carries one stream over WebSockets: when one breaks, another is opened and resumes where it stopped. */
const PING_INTERVAL_MS = 5e3;
/** A connection that brought nothing for so long, not even a pong, counts as broken. */
const SILENCE_TIMEOUT_MS = 12e3;
const TICK_MS = 1e3;
const OPEN_TIMEOUT_MS = 5e3;
/** Pauses between attempts to resume: doubled with each, up to the maximum. */
const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 2e3;
/** Close codes after which there is nothing to resume. */
const FINAL = {
	1e3: "the session ended",
	1001: "the server stops",
	1008: "the server refused the connection",
	1009: "a message was too large",
	1011: "the session failed",
	1013: "the connection is too slow",
	4e3: "the stream was resumed on another connection"
};
var Transport = class {
	url;
	token;
	openSocket;
	events;
	#socket;
	#attempt = 0;
	#ready = false;
	#over = false;
	#resumeMs = 0;
	#resumeUntil = 0;
	#expected;
	#lastMessageAt = 0;
	#lastPingAt = 0;
	#acknowledged = 0;
	#timer;
	constructor(url, token, openSocket, events) {
		this.url = url;
		this.token = token;
		this.openSocket = openSocket;
		this.events = events;
	}
	/** Opens the first connection. Throws `DisconnectedError`. */
	async open() {
		await this.#connect(this.url);
		this.#timer = setInterval(() => this.#tick(), TICK_MS);
		this.#timer.unref?.();
	}
	/** Sends now, or not at all: counted messages are sent again when the stream is resumed. */
	send(data) {
		if (this.#ready) this.#socket?.send(data);
	}
	/** Marks the stream as created or resumed on this connection, and sends what the server has `missing` first. */
	markReady(missing, resumeMs = this.#resumeMs) {
		this.#resumeMs = resumeMs;
		this.#ready = true;
		for (const { data } of missing) this.#socket?.send(data);
		this.events.changed("open");
	}
	/** Sets the reason of the close that comes next. */
	expectClose(closed) {
		this.#expected = closed;
	}
	close(code) {
		this.#over = true;
		this.#ready = false;
		this.#attempt += 1;
		clearInterval(this.#timer);
		this.#socket?.close(code);
		this.#socket = void 0;
	}
	async #connect(url) {
		const attempt = this.#attempt += 1;
		const early = [];
		let earlyClose;
		const opening = this.openSocket(url, currentToken(this.token), {
			message: (data) => {
				if (attempt !== this.#attempt) return;
				this.#lastMessageAt = performance.now();
				if (this.#socket === void 0) early.push(data);
				else this.events.message(data);
			},
			closed: (code) => {
				if (attempt !== this.#attempt) return;
				if (this.#socket === void 0) earlyClose = code;
				else this.#closed(code);
			}
		});
		const timeout = sleep(OPEN_TIMEOUT_MS).then(() => {
			throw new DisconnectedError(`no connection within ${OPEN_TIMEOUT_MS / 1e3} s`, 1006);
		});
		timeout.catch(() => void 0);
		opening.then((socket) => attempt !== this.#attempt && socket.close(1e3)).catch(() => void 0);
		try {
			this.#socket = await Promise.race([opening, timeout]);
		} catch (error) {
			this.#attempt += 1;
			throw error;
		}
		if (this.#over) throw new DisconnectedError("the stream was closed", 1e3);
		this.#lastMessageAt = this.#lastPingAt = performance.now();
		for (const data of early) this.events.message(data);
		if (earlyClose !== void 0) this.#closed(earlyClose);
	}
	#closed(code) {
		if (this.#ready) this.#resumeUntil = performance.now() + this.#resumeMs;
		this.#socket = void 0;
		this.#ready = false;
		const reason = FINAL[code];
		if (this.#expected !== void 0) this.#finish(this.#expected);
		else if (code === 1e3 || code === 1001) this.#finish({ reason });
		else if (reason !== void 0) this.#finish({
			reason,
			error: new DisconnectedError(reason, code)
		});
		else if (this.#resumeMs === 0) this.#break("the connection broke before the stream began");
		else this.#resume();
	}
	async #resume() {
		this.events.changed("resuming");
		for (let pause = 0; !this.#over; pause = Math.min(MAX_PAUSE_MS, 2 * pause || FIRST_PAUSE_MS)) {
			await sleep(pause);
			if (this.#over) return;
			if (performance.now() > this.#resumeUntil) return this.#break(`the connection broke, and none could be opened for ${this.#resumeMs / 1e3} s`);
			const url = new URL(this.url);
			url.searchParams.set("resume", String(this.events.received()));
			try {
				return await this.#connect(url.href);
			} catch {
				continue;
			}
		}
	}
	#break(reason) {
		this.#finish({
			reason,
			error: new DisconnectedError(reason, 1006)
		});
	}
	#finish(closed) {
		this.#over = true;
		clearInterval(this.#timer);
		this.events.over(closed);
	}
	#tick() {
		if (!this.#ready) return;
		const now = performance.now();
		const received = this.events.received();
		if (received !== this.#acknowledged) this.#socket?.send(toText({
			type: "ack",
			received
		}));
		this.#acknowledged = received;
		if (now - this.#lastPingAt > PING_INTERVAL_MS) {
			this.#lastPingAt = now;
			this.#socket?.send(toText({ type: "ping" }));
		}
		if (now - this.#lastMessageAt < SILENCE_TIMEOUT_MS) return;
		this.#attempt += 1;
		this.#socket?.close(4001);
		this.#closed(1006);
	}
};

// dist/stream.js
/** A session's stream: speech in, events and media out. It outlives the connection that carries it. */
/** Events that wait for a reader. Full: the oldest is dropped. */
const MAX_EVENTS = 512;
/** Media messages that wait for a reader: about 7 s. Full: the reader gets an error. */
const MAX_MEDIA = 512;
/** Far below the 30 s (`pause_ms`) beyond which the server reads nothing more, not even a `speech.clear`. */
const AHEAD_MS = 1e4;
/** Codes of an `error` that answers a packet, which has no `event_id`. */
const SPEECH_ERRORS = /* @__PURE__ */ new Set([
	"no_format",
	"bad_speech",
	"bad_packet",
	"wrong_position",
	"wrong_generation",
	"speech_overflow",
	"not_streamed",
	"not_live"
]);
/**
* Opened by `Session.open`.
*
*     await stream.say(samples);                       // Int16Array, Float32Array, or bytes
*     const { utterance } = await stream.commit();
*     for await (const event of stream) if (event.type === "playback.finished") break;
*
* A connection that breaks is made again and nothing is lost; where that fails, pending calls and the loop throw.
*/
var Stream = class Stream {
	/** Resolves when the stream is over. */
	closed;
	#listeners = new Listeners();
	#events = new Queue(MAX_EVENTS, "drop-oldest");
	#media = /* @__PURE__ */ new Set();
	#requests = /* @__PURE__ */ new Map();
	#queue = new SendQueue();
	#transport;
	#over = deferred();
	#created = deferred();
	#speech;
	#isOver = false;
	#received = 0;
	#requestCount = 0;
	#committed = 0;
	#finished;
	constructor(url, token, options) {
		this.closed = this.#over.promise;
		this.#speech = new SpeechWriter((data, ms) => this.#send(data, ms), this.#queue, options.aheadMs ?? AHEAD_MS);
		this.#transport = new Transport(url, token, options.socket ?? openSocket, {
			message: (data) => this.#receive(data),
			received: () => this.#received,
			changed: (state) => this.#listeners.emit("connection", state),
			over: (closed) => this.#end(closed)
		});
	}
	/** Connects, and sends what `options` holds. */
	static async open(url, token, options = {}) {
		const { speech, output, controls, signal } = options;
		signal?.throwIfAborted();
		const stream = new Stream(url, token, options);
		try {
			await abortable(stream.#transport.open(), signal);
			await abortable(stream.#created.promise, signal);
			const changes = {
				...speech && { speech },
				...output && { output },
				...controls && { controls }
			};
			if (Object.keys(changes).length > 0) await stream.update(changes, signal);
		} catch (error) {
			stream.close();
			throw error;
		}
		signal?.addEventListener("abort", () => stream.close(), { once: true });
		return stream;
	}
	/** Resolves with the first message: limits, controls, disclosure. */
	get created() {
		return this.#created.promise;
	}
	/** Number of clears so far. Speech that is sent now belongs to this generation. */
	get generation() {
		return this.#speech.generation;
	}
	/**
	* Sends speech in the format of the stream, in order; waits while more than `aheadMs` is unheard. Resolves with the
	* samples (of a channel) that were sent: fewer than given where `clear` came meanwhile. Throws `ServerError` after
	* the server refused speech, until `clear` or another format.
	*/
	say(speech, options = {}) {
		return this.#speech.say(speech, options);
	}
	/** Ends the utterance. */
	async commit(signal) {
		return await this.#speech.inOrder(() => this.#request({ type: "speech.commit" }, "speech.committed", signal), signal);
	}
	/** Barge-in: drops all speech that is not heard yet. Resolves with the position up to which it was heard. */
	clear(signal) {
		this.#speech.startGeneration(this.#speech.generation + 1);
		return this.#request({ type: "speech.clear" }, "playback.finished", signal);
	}
	/** Resolves when an utterance was heard to its end, or interrupted. */
	async finished(utterance, signal) {
		const found = deferred();
		const check = () => {
			if (this.#finished !== void 0 && this.#finished.utterance >= utterance) found.resolve(this.#finished.event);
		};
		check();
		const off = this.on("playback.finished", check);
		this.closed.then(({ error, reason }) => found.reject(error ?? new DisconnectedError(reason, 1e3)));
		try {
			return await abortable(found.promise, signal);
		} finally {
			off();
		}
	}
	/** Changes the speech's format, the output or controls; resolves with the values that hold now. */
	async update(changes, signal) {
		const request = () => this.#request({
			type: "session.update",
			...changes
		}, "session.updated", signal);
		if (changes.speech === void 0) return await request();
		return await this.#speech.inOrder(async () => {
			const updated = await request();
			if (updated.speech !== void 0) this.#speech.setFormat(updated.speech);
			return updated;
		}, signal);
	}
	/** Calls `listener` for each message of a type, or state of the connection; returns a function that removes it. */
	on(type, listener, signal) {
		return this.#listeners.on(type, listener, signal);
	}
	/** Iterates over the events since the opening. One loop at a time. */
	[Symbol.asyncIterator]() {
		return { next: () => this.#events.next() };
	}
	/** Iterates over sound and pictures from now on. */
	media() {
		const queue = new Queue(MAX_MEDIA, "fail", () => this.#media.delete(queue));
		if (this.#isOver) queue.end();
		else this.#media.add(queue);
		return queue;
	}
	/** Ends the session, for everybody. */
	async end() {
		this.#send(toText({ type: "session.end" }), 0);
		await this.closed;
	}
	/** Closes the stream. The session lives on while it has another connection. */
	close() {
		this.#transport.close(1e3);
		this.#end({ reason: "closed by this side" });
	}
	#request(message, _answer, signal) {
		if (this.#isOver) return Promise.reject(new DisconnectedError("the stream is over", 1e3));
		const event_id = `js-${this.#requestCount += 1}`;
		const answer = deferred();
		this.#requests.set(event_id, answer);
		this.#send(toText({
			...message,
			event_id
		}), 0);
		return abortable(answer.promise, signal);
	}
	#send(data, speechMs) {
		if (this.#isOver) throw new DisconnectedError("the stream is over", 1e3);
		this.#queue.push({
			data,
			speechMs
		});
		this.#transport.send(data);
	}
	#receive(data) {
		let message;
		try {
			message = parseServer(data);
		} catch (error) {
			if (!(error instanceof ProtocolError)) throw error;
			this.#received += 1;
			if (error.code !== "unknown_type") this.#fail(error);
			return;
		}
		if (isCounted(message.type)) this.#received += 1;
		this.#apply(message);
		this.#listeners.emit(message.type, message);
		if (message.type === "media") for (const queue of this.#media) queue.push(message);
		else if (message.type !== "ack" && message.type !== "pong") this.#events.push(message);
		this.#settleRequest(message);
	}
	#apply(message) {
		if ("generation" in message && message.type !== "speech.dropped") this.#speech.followGeneration(message.generation);
		switch (message.type) {
			case "session.created":
				this.#transport.markReady([], message.limits.resume_ms);
				this.#created.resolve(message);
				break;
			case "session.resumed":
				this.#acknowledged(message.received);
				this.#transport.markReady(this.#queue.unacknowledged());
				break;
			case "ack":
				this.#acknowledged(message.received);
				this.#speech.setBuffered(message.buffered_ms, message.received);
				break;
			case "speech.committed":
				this.#committed = message.utterance;
				break;
			case "playback.finished":
				this.#finished = {
					utterance: Math.max(message.utterance ?? 0, message.interrupted ? this.#committed : 0),
					event: message
				};
				break;
			case "session.ended":
				this.#transport.expectClose({ reason: message.reason });
				break;
			case "error": if (message.fatal) this.#transport.expectClose({
				reason: message.message,
				error: serverError(message)
			});
			else if (SPEECH_ERRORS.has(message.code) && message.event_id === void 0) this.#speech.refuse(serverError(message));
		}
	}
	#settleRequest(message) {
		if (!("event_id" in message) || message.event_id === void 0) return;
		const answer = this.#requests.get(message.event_id);
		this.#requests.delete(message.event_id);
		if (message.type === "error") answer?.reject(serverError(message));
		else answer?.resolve(message);
	}
	#acknowledged(received) {
		try {
			this.#queue.acknowledge(received);
		} catch (error) {
			this.#fail(new ProtocolError("bad_message", String(error)));
		}
	}
	#fail(error) {
		this.#transport.close(1008);
		this.#end({
			reason: error.message,
			error
		});
	}
	#end(closed) {
		if (this.#isOver) return;
		this.#isOver = true;
		const error = closed.error ?? new DisconnectedError(`the stream is over: ${closed.reason}`, 1e3);
		this.#created.reject(error);
		for (const answer of this.#requests.values()) answer.reject(error);
		this.#requests.clear();
		this.#speech.close(error);
		this.#events.end(closed.error);
		for (const queue of this.#media) queue.end(closed.error);
		this.#over.resolve(closed);
		this.#listeners.emit("connection", "closed");
	}
};
function serverError({ code, message, fatal, event_id }) {
	return new ServerError(code, message, fatal, event_id);
}

// dist/whep.js
/** Watches by WHEP (draft-ietf-wish-whep), from any endpoint. */
/**
* Resolves when media can flow.
*
*     const peer = await watch("https://host/v1/sessions/ID/whep", { token, element: video });
*/
async function watch(url, options = {}) {
	const { element, audio = true, video = true, iceServers = [], signal, renew, renewed, token } = options;
	signal?.throwIfAborted();
	const create = () => {
		const connection = new RTCPeerConnection({ iceServers });
		if (audio) connection.addTransceiver("audio", { direction: "recvonly" });
		if (video) connection.addTransceiver("video", { direction: "recvonly" });
		return connection;
	};
	const renewing = renew !== void 0 && typeof token === "string" ? new RenewedToken(token, "view", () => renew, options.fetch ?? ((...given) => fetch(...given)), renewed) : void 0;
	const authorized = renewing === void 0 ? options : {
		...options,
		token: () => renewing.current
	};
	const peer = new Peer(connectorOf(create, new URL(url), authorized), signal);
	if (element !== void 0) play(element, peer.media);
	peer.closed.then(() => renewing?.stop());
	await peer.connect();
	renewing?.renewAfter(0);
	return peer;
}

// dist/whip.js
/** Publishes by WHIP (RFC 9725), to any endpoint. */
/** Sends all tracks of `media`; resolves when they can flow. The caller stops the tracks. */
async function publish(url, media, options = {}) {
	const { iceServers = [], signal, videoBitrate } = options;
	signal?.throwIfAborted();
	const tracks = media.getTracks();
	if (tracks.length === 0) throw new TypeError("nothing to publish (need a camera or a microphone track)");
	const create = () => {
		const connection = new RTCPeerConnection({ iceServers });
		for (const track of tracks) {
			const bitrate = track.kind === "video" && videoBitrate !== void 0 ? { maxBitrate: videoBitrate } : {};
			connection.addTransceiver(track, {
				direction: "sendonly",
				streams: [media],
				sendEncodings: [bitrate]
			});
		}
		return connection;
	};
	return await new Peer(connectorOf(create, new URL(url), options), signal).connect();
}

// dist/session.js
/** Creates sessions over HTTP, and opens their streams and WebRTC connections. */
const PATIENCE_MS = 15e3;
/** A server. */
var Client = class {
	base;
	#headers;
	#fetch;
	#patienceMs;
	#onBusy;
	constructor(base, options = {}) {
		this.base = new URL(base);
		this.#headers = options.apiKey === void 0 ? {} : bearer(options.apiKey);
		this.#fetch = options.fetch ?? ((...given) => fetch(...given));
		this.#patienceMs = options.patienceMs ?? PATIENCE_MS;
		this.#onBusy = options.onBusy;
	}
	/**
	* Creates a session. Throws `BusyError` where the server is full or not ready for longer than `patienceMs`. Aborted,
	* it ends a session that the server makes all the same.
	*/
	async create(options = {}, signal) {
		return await this.#create(JSON.stringify(options), { "Content-Type": "application/json" }, signal);
	}
	/** Creates a session whose face is a picture. Throws `HttpError` of status 422 where no face is found in it. */
	async createWith(portrait, options = {}, signal) {
		const { picture, consent, background } = portrait;
		const asked = {
			source: "portrait",
			...options,
			...background && { background: "image" },
			...consent && { consent }
		};
		return await this.#create(formOf(asked, {
			portrait: picture,
			background
		}), {}, signal);
	}
	#create(body, kind, signal) {
		return whileBusy(() => this.#createOnce(body, kind, signal), this.#patienceMs, {
			signal,
			onBusy: this.#onBusy
		});
	}
	async #createOnce(body, kind, signal) {
		signal?.throwIfAborted();
		const url = new URL("/v1/sessions", this.base);
		const headers = {
			...this.#headers,
			...kind
		};
		const making = request(this.#fetch, url, {
			method: "POST",
			headers,
			body
		}).then(async (response) => new Session(await response.json(), response.url || url, this.#fetch));
		try {
			return await abortable(making, signal);
		} catch (error) {
			if (signal?.aborted) making.then((unused) => unused.end()).catch(() => void 0);
			throw error;
		}
	}
};
/**
* One session, made from its description by `Client.create` or by hand. Once something of it was opened, its token is
* renewed at half of its lifetime until the session has ended, for reconnecting needs a valid one.
*/
var Session = class {
	description;
	#base;
	#fetch;
	#token;
	constructor(description, base, fetching = (...given) => fetch(...given)) {
		this.description = description;
		this.#base = base;
		this.#fetch = fetching;
		this.#token = new RenewedToken(description.token, "own", () => this.url("tokens"), fetching);
	}
	/** The owner's token, the newest. */
	get token() {
		return this.#token.current;
	}
	get id() {
		return this.description.id;
	}
	/** Text to show beside the video: it is synthetic. */
	get disclosure() {
		return this.description.disclosure;
	}
	/** Opens a stream: speech in, events and on request media out. */
	open(options = {}) {
		const url = this.url("stream");
		url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
		return Stream.open(url.href, this.#liveToken(), options);
	}
	/** Watches it by WHEP. */
	watch(options = {}) {
		const [token, iceServers] = [this.#liveToken(), this.description.ice_servers];
		return watch(this.url("whep"), {
			token,
			iceServers,
			...options
		});
	}
	/** Publishes camera, microphone or both into it by WHIP. */
	publish(media, options = {}) {
		const [token, iceServers] = [this.#liveToken(), this.description.ice_servers];
		return publish(this.url("whip"), media, {
			token,
			iceServers,
			...options
		});
	}
	/** Sends camera and microphone and receives the dubbed video on one connection; the session ends with it. */
	call(media, options = {}) {
		const [token, iceServers] = [this.#liveToken(), this.description.ice_servers];
		return call(this.url("webrtc"), media, {
			token,
			iceServers,
			...options
		});
	}
	/** Reads its state. Throws `GoneError` where it has ended. */
	async state(signal) {
		return await this.#request("GET", "session", signal);
	}
	/** Barge-in without a stream: drops all speech that is not heard yet. */
	async clear(signal) {
		return await this.#request("POST", "clear", signal);
	}
	/**
	* Shows another face, crossfaded, while sound goes on; `face.changed` follows on its stream. Throws `HttpError`: 422
	* without a face, 409 while another comes, or where the session shows a camera.
	*/
	async changeFace(face, signal) {
		const upload = "picture" in face ? face : void 0;
		const body = upload ? formOf({ ...upload.consent && { consent: upload.consent } }, { portrait: upload.picture }) : JSON.stringify(face);
		const kind = upload ? {} : { "Content-Type": "application/json" };
		const headers = {
			...bearer(this.#token.current),
			...kind
		};
		await request(this.#fetch, this.url("face"), {
			method: "POST",
			headers,
			body,
			...signal && { signal }
		});
	}
	/** Ends it and frees its resources. No error where it has ended already. */
	async end() {
		this.#token.stop();
		await this.#request("DELETE", "session", void 0, true).catch((error) => {
			if (!(error instanceof HttpError && error.status === 404)) throw error;
		});
	}
	/** The address of one of its routes: `session`, `stream`, `whip`, `whep`, `webrtc`, `clear`, `face`. */
	url(route) {
		const path = this.description.urls[route];
		if (path === void 0) throw new TypeError(`the server has no ${route} (an older one?)`);
		return new URL(path, this.#base);
	}
	/** Starts the renewing, and returns a function that gives the newest token. */
	#liveToken() {
		const { expires_in: seconds, urls } = this.description;
		if (seconds !== void 0 && urls["tokens"] !== void 0 && !this.#token.isRenewed) this.#token.renewAfter(500 * seconds);
		return () => this.#token.current;
	}
	async #request(method, route, signal, keepalive = false) {
		const init = {
			method,
			headers: bearer(this.#token.current),
			keepalive,
			...signal && { signal }
		};
		return await (await request(this.#fetch, this.url(route), init)).json();
	}
};
function formOf(session, images) {
	const form = new FormData();
	form.append("session", JSON.stringify(session));
	for (const [name, image] of Object.entries(images)) if (image) form.append(name, image);
	return form;
}
function bearer(token) {
	return { Authorization: `Bearer ${token}` };
}

export { BusyError, CanvasPlayer, Client, DisconnectedError, ForbiddenError, GoneError, HttpError, MediaSourcePlayer, Microphone, MyTalkError, NetworkError, NotAuthorizedError, Peer, PeerError, ProtocolError, SPEECH_RATES, SUBPROTOCOL, ServerError, Session, Stream, TOKEN_PREFIX, UnsupportedError, call, decodesH264, packSpeech, parseServer, playsFmp4, publish, toPcm16, toText, unpackMedia, watch };