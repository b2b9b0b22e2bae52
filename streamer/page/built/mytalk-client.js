// Made from clients/js by `npm run build && npm run bundle`. Change it there.
// dist/errors.js
/**
* Everything this package throws of its own:
*
*     MyTalkError
*     ├── HttpError             the server answered a request with an error; `status`, `code`
*     │   ├── NotAuthorizedError    401: no key or token, or a wrong one
*     │   ├── ForbiddenError        403: it does not give this right
*     │   ├── GoneError             404, 410: no such session any more
*     │   └── BusyError             409, 429, 503: ask again after `retryAfter` seconds
*     ├── ServerError           an `error` message of the stream; `code`, `fatal`, `event_id`
*     ├── ProtocolError         what came is not `mytalk.v1`
*     ├── DisconnectedError     the stream is over: `closeCode`
*     ├── PeerError             WebRTC found no way, or lost it
*     └── UnsupportedError      this browser or program lacks what is needed
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
	/** The error that an answer means. Reads its body. */
	static async from(response) {
		const { code, message } = reason$1(await response.text().catch(() => ""));
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
/** A message that this version does not understand. `unknown_type` is to be passed over. */
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
function reason$1(text) {
	try {
		const { error } = JSON.parse(text);
		return error ?? {};
	} catch {
		return {};
	}
}

// dist/listeners.js
/** Functions that hear of something by its name. `Events` maps a name to what they are given. */
var Listeners = class {
	#all = /* @__PURE__ */ new Map();
	/** Calls `listener` from now on; returns what ends that. A `signal` ends it as well. */
	on(name, listener, signal) {
		const listeners = this.#all.get(name) ?? /* @__PURE__ */ new Set();
		this.#all.set(name, listeners.add(listener));
		const off = () => void listeners.delete(listener);
		if (signal?.aborted) off();
		signal?.addEventListener("abort", off, { once: true });
		return off;
	}
	/** A listener's own error is the page's or the program's, not ours: it is reported, and the others are called. */
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
/** How well media come, from a connection's own counts. */
const EMPTY = {
	waited: 0,
	emitted: 0,
	roundTripMs: 0,
	heardAt: 0,
	seenAt: 0,
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
/** Of the time between two samples of one connection. */
function figuresBetween(before, sample) {
	const emitted = sample.emitted - before.emitted;
	const waited = emitted > 0 ? 1e3 * (sample.waited - before.waited) / emitted : null;
	return {
		receiveMs: waited === null ? null : waited + sample.roundTripMs / 2,
		skewMs: sample.heardAt > 0 && sample.seenAt > 0 ? sample.heardAt - sample.seenAt : null,
		framesPerSecond: sample.framesPerSecond,
		width: sample.width,
		height: sample.height,
		packetsLost: sample.lost
	};
}
function inbound(stat, sample) {
	sample.lost += stat.packetsLost ?? 0;
	if (stat.kind === "audio") {
		sample.heardAt = stat.estimatedPlayoutTimestamp ?? 0;
		return;
	}
	sample.seenAt = stat.estimatedPlayoutTimestamp ?? 0;
	sample.waited = stat.jitterBufferDelay ?? 0;
	sample.emitted = stat.jitterBufferEmittedCount ?? 0;
	sample.framesPerSecond = stat.framesPerSecond ?? null;
	sample.width = stat.frameWidth ?? null;
	sample.height = stat.frameHeight ?? null;
}

// dist/waiting.js
/** Waiting that a signal ends. */
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
/** `promise`, or the signal's reason as soon as it is aborted. What the promise stands for goes on. */
function abortable(promise, signal) {
	if (signal === void 0) return promise;
	return new Promise((resolve, reject) => {
		const abort = () => reject(signal.reason);
		if (signal.aborted) abort();
		signal.addEventListener("abort", abort, { once: true });
		promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
	});
}
/** Resolves after so many milliseconds. */
function sleep(ms, signal) {
	let timer;
	return abortable(new Promise((resolve) => timer = setTimeout(resolve, ms)), signal).finally(() => clearTimeout(timer));
}

// dist/way.js
/** The way that a connection's media take. */
/** The first of `states` that the connection is in; undefined where that takes longer than `ms`. */
async function reached(connection, states, ms, signal) {
	const over = new AbortController();
	let timer;
	const found = new Promise((resolve) => {
		const look = () => {
			const state = states.find((one) => one === connection.connectionState);
			if (state !== void 0) resolve(state);
		};
		connection.addEventListener("connectionstatechange", look, { signal: over.signal });
		timer = setTimeout(() => resolve(void 0), ms);
		look();
	});
	try {
		return await abortable(found, signal);
	} finally {
		clearTimeout(timer);
		over.abort();
	}
}

// dist/peer.js
/** A WebRTC connection to a server, kept up: a way that is lost is mended, a connection that is lost is made anew. */
/** A way that is interrupted for so long is taken for lost: another is looked for. */
const LOST_MS = 5e3;
/** For so long another way is looked for, where nobody says that there is none. */
const MEND_MS = 25e3;
/** So long after a restart it may take until media flow. */
const RESTART_MS$1 = 8e3;
/** And so long after an answer. A server has forgotten a peer by then that never came. */
const CONNECT_MS = 2e4;
const AGAIN_MS$1 = 1e3;
/** Between two other connections: doubled with each, up to the most, and a quarter more or less. */
const PAUSE_MS = 500;
const MOST_PAUSE_MS = 8e3;
var Peer = class {
	plan;
	signal;
	/** What is received. Tracks come in as the connection learns of them; another connection's take their places. */
	media;
	/** Resolves when it is over; with an error where nobody closed it. */
	closed;
	#over = deferred();
	#listeners = new Listeners();
	#stop = new AbortController();
	#now;
	#place;
	#way;
	#isMending = false;
	#timer;
	#before = EMPTY;
	/** `signal` ends connecting, the first time and whenever it is done again. */
	constructor(plan, signal) {
		this.plan = plan;
		this.signal = signal;
		if (typeof MediaStream === "undefined") throw new UnsupportedError("no WebRTC here (in Node, open a stream with output.video instead)");
		this.closed = this.#over.promise;
		this.media = new MediaStream();
		this.#now = this.#make();
	}
	/** The connection that is in use. */
	get connection() {
		return this.#now.connection;
	}
	/** Calls `listener` from now on; returns what ends that. A `signal` ends it as well. */
	on(name, listener, signal) {
		return this.#listeners.on(name, listener, signal);
	}
	/** Resolves when media can flow. Throws `HttpError`, `PeerError`, or the signal's reason; then it is closed. */
	async connect() {
		const off = this.#heed();
		try {
			await this.#dial(this.#now);
		} catch (error) {
			if (!this.#stop.signal.aborted && error instanceof PeerError) this.#over.resolve(error);
			await this.close();
			throw error;
		} finally {
			off();
		}
		return this;
	}
	/** Hangs up. `isKnown`: the server knows already, its session has ended. */
	async close(isKnown = false) {
		clearTimeout(this.#timer);
		this.#stop.abort(new PeerError("the connection was closed"));
		this.#over.resolve(void 0);
		this.#become("closed");
		const place = this.#place;
		this.#place = void 0;
		if (!isKnown) await place?.end();
		this.connection.close();
		for (const track of this.media.getTracks()) track.stop();
	}
	/** Counts of the time since the last call. */
	async figures() {
		const { connection } = this;
		const sample = read(await connection.getStats());
		const figures = figuresBetween(this.#before, sample);
		if (connection === this.connection) this.#before = sample;
		return figures;
	}
	#make() {
		const made = {
			connection: this.plan.make(),
			tracks: []
		};
		made.connection.addEventListener("track", ({ track }) => {
			made.tracks.push(track);
			if (made === this.#now) this.media.addTrack(track);
		});
		made.connection.addEventListener("connectionstatechange", () => {
			if (made === this.#now) this.#look();
		});
		return made;
	}
	/** Connects, and takes it into use. Throws why it cannot be; then it is closed, and the server knows. */
	async #dial(made) {
		const { signal } = this.#stop;
		let place;
		try {
			place = await this.plan.agree(made.connection, signal);
			if (await reached(made.connection, ["connected", "failed"], CONNECT_MS, signal) !== "connected") throw new PeerError("no way to the server was found (is UDP blocked?)");
		} catch (error) {
			made.connection.close();
			await place?.end();
			throw error;
		}
		const before = this.#now;
		this.#now = made;
		this.#place = place;
		if (before !== made) {
			this.#before = EMPTY;
			for (const track of made.tracks) this.media.addTrack(track);
			for (const track of before.tracks) this.media.removeTrack(track);
			before.connection.close();
		}
		this.#become("open");
		this.#look();
	}
	#look() {
		clearTimeout(this.#timer);
		if (this.#way !== "open" || this.#isMending) return;
		const state = this.connection.connectionState;
		const lost = new PeerError("the connection was lost");
		if (state === "disconnected") this.#timer = setTimeout(() => void this.#mend(lost), LOST_MS);
		if (state === "failed") this.#mend(lost);
	}
	async #mend(lost) {
		const { signal } = this.#stop;
		const off = this.#heed();
		this.#isMending = true;
		try {
			const cause = await this.#restart(lost);
			if (cause !== void 0) await this.#reconnect(cause);
			else this.#become("open");
		} catch (error) {
			if (!signal.aborted) this.#over.resolve(asPeerError(error));
			await this.close();
		} finally {
			off();
			this.#isMending = false;
			this.#look();
		}
	}
	/** Restarts ICE until media flow again. Gives why they do not, where the server cannot or time is over. */
	async #restart(lost) {
		const { signal } = this.#stop;
		const restart = this.#place?.restart?.bind(this.#place);
		const ice = this.connection.iceConnectionState;
		if (restart === void 0 || ice === "connected" || ice === "completed") return lost;
		const until = performance.now() + MEND_MS;
		this.#become("restarting");
		for (;;) {
			try {
				await abortable(restart(), signal);
				if (await reached(this.connection, ["connected"], RESTART_MS$1, signal)) return void 0;
			} catch (error) {
				if (signal.aborted) throw error;
				if (error instanceof MyTalkError && hasNoRestart(error)) return error;
			}
			if (performance.now() > until) return lost;
			await sleep(AGAIN_MS$1, signal);
		}
	}
	/** Makes another connection in place of the one that is lost. Throws the last try's reason. */
	async #reconnect(cause) {
		const { signal } = this.#stop;
		const of = this.plan.reconnects;
		if (!(cause instanceof GoneError)) this.#place?.end();
		this.#place = void 0;
		for (let attempt = 1; attempt <= of; attempt += 1) {
			this.#become("reconnecting");
			this.#listeners.emit("reconnecting", {
				attempt,
				of,
				cause
			});
			if (attempt > 1) await sleep(pause(attempt), signal);
			signal.throwIfAborted();
			try {
				return await this.#dial(this.#make());
			} catch (error) {
				if (signal.aborted || isFinal(error)) throw error;
				cause = error;
			}
		}
		throw cause;
	}
	/** Has the caller's signal end what is under way. One that was aborted before, on an open connection, does not. */
	#heed() {
		const { signal } = this;
		const abort = () => this.#stop.abort(signal?.reason);
		signal?.addEventListener("abort", abort, { once: true });
		return () => signal?.removeEventListener("abort", abort);
	}
	#become(way) {
		if (this.#way === way || this.#way === "closed") return;
		this.#way = way;
		this.#listeners.emit("connection", way);
	}
};
function pause(attempt) {
	return Math.min(MOST_PAUSE_MS, PAUSE_MS * 2 ** (attempt - 2)) * (.75 + Math.random() / 2);
}
/** Whether no further restart would do: a busy server may be free a second later. */
function hasNoRestart(error) {
	if (error instanceof HttpError) return error.status !== 429 && (error.status < 500 || error.status === 501);
	return true;
}
/** Whether no other connection would do: the session is gone, or the token no longer good. */
function isFinal(error) {
	return error instanceof HttpError && !(error instanceof BusyError) && error.status < 500;
}
function asPeerError(error) {
	if (error instanceof PeerError) return error;
	return new PeerError(`the connection was lost: ${error.message}`, { cause: error });
}

// dist/token.js
/** What the server knows a program by, and how that is kept good. */
const tokenNow = (token) => typeof token === "function" ? token() : token;
/** A token is asked for again after so long, where the server was not reached. */
const AGAIN_MS = 5e3;
const MOST_MS = 2 ** 31 - 1;
/**
* A token that is renewed at half of its life. It gives another like itself for as long as its session lives; once the
* server refuses that, it stays as it is.
*/
var LastingToken = class {
	right;
	url;
	fetching;
	renewed;
	#token;
	#over = false;
	#timer;
	/** `url`: the session's `tokens` route. `right`: what the token gives. */
	constructor(token, right, url, fetching, renewed = () => void 0) {
		this.right = right;
		this.url = url;
		this.fetching = fetching;
		this.renewed = renewed;
		this.#token = token;
	}
	/** The newest. */
	get now() {
		return this.#token;
	}
	get isRenewed() {
		return this.#timer !== void 0;
	}
	/** Renews it after so many milliseconds, and from then on in time. */
	renewAfter(ms) {
		if (this.#over) return;
		this.#timer = setTimeout(() => void this.#renew(), Math.min(ms, MOST_MS));
		this.#timer.unref?.();
	}
	/** Nobody needs it any longer. */
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
			const response = await this.fetching(this.url(), {
				method: "POST",
				headers,
				body
			});
			if (!response.ok) throw await HttpError.from(response);
			const { token, expires_in: seconds } = await response.json();
			this.#token = token;
			this.renewAfter(500 * seconds);
			if (!this.#over) this.renewed(token);
		} catch (error) {
			if (!(error instanceof HttpError && !(error instanceof BusyError) && error.status < 500)) this.renewAfter(AGAIN_MS);
		}
	}
};

// dist/signalling.js
/** What WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) share: an offer posted, candidates after it, and the end. */
/** Candidates found by then are in the offer; later ones follow it. */
const GATHER_MS$1 = 250;
const PATIENCE_MS = 1e4;
/** An ICE restart that is not answered by then is tried again: the network may be another one by now. */
const RESTART_MS = 5e3;
const FRAGMENT = "application/trickle-ice-sdpfrag";
const RECONNECTS = 6;
/** How a peer connects to an endpoint, again where it must. */
function planned(make, url, options) {
	const agree = (connection, signal) => Resource.post(connection, url, {
		...options,
		signal
	});
	return {
		make,
		agree,
		reconnects: options.reconnects ?? RECONNECTS
	};
}
/** One connection's place at its server. */
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
	/** Offers, and takes the answer. */
	static async post(connection, url, options) {
		await connection.setLocalDescription();
		const late = lateCandidates(connection);
		await gathered(connection, options.signal);
		late.length = 0;
		const offer = connection.localDescription?.sdp;
		if (offer === void 0) throw new PeerError("the browser made no offer");
		const response = await postPatiently(url, offer, options);
		const servers = iceServersOf(response.headers.get("Link"));
		if (servers.length > 0 && options.iceServers === void 0) connection.setConfiguration({ iceServers: servers });
		const location = response.headers.get("Location");
		if (location === null) throw new PeerError("the answer names no Location (is this a WHIP or WHEP endpoint?)");
		await connection.setRemoteDescription({
			type: "answer",
			sdp: await response.text()
		});
		const resource = new Resource(connection, new URL(location, response.url || url).href, options, response);
		await resource.#follow(late);
		return resource;
	}
	/**
	* One try of an ICE restart (RFC 9725, 4.3.3): new credentials and candidates for the same media. Resolves when both
	* sides know them. Throws why not, `HttpError` among it; then the connection is as it was.
	*/
	async restart() {
		const { connection } = this;
		const before = connection.remoteDescription?.sdp ?? "";
		connection.restartIce();
		const late = lateCandidates(connection);
		await connection.setLocalDescription();
		try {
			await gathered(connection);
			const body = fragment(connection.localDescription?.sdp ?? "", late.splice(0));
			const headers = {
				"Content-Type": FRAGMENT,
				"If-Match": "*"
			};
			const signal = AbortSignal.timeout(RESTART_MS);
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
		await this.#follow(late);
	}
	/** Tells the server that it is over. One that has forgotten it already is not asked twice. */
	async end() {
		this.connection.onicecandidate = null;
		await send(this.url, {
			method: "DELETE",
			keepalive: true
		}, this.options).catch(() => void 0);
	}
	/** Sends the candidates that were late, and those to come. */
	async #follow(late) {
		this.connection.onicecandidate = ({ candidate }) => void this.#trickle([candidate]);
		if (late.length > 0) await this.#trickle(late.splice(0));
	}
	/** RFC 8840. A server that takes none (405, 501), or has another ICE session by now, goes without. */
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
/** ICE servers that a Link header names (RFC 9725, 4.6). */
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
/** Candidates as `application/trickle-ice-sdpfrag`; null means that no more will come. */
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
* The answer that an ICE restart makes of the one before: with the credentials and the candidates of the server's
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
/** Its lines, from one `m=` to the next; what comes before the first is a section too. */
function sections(sdp) {
	return sdp.split(/^(?=m=)/m).map((section) => section.split(/\r?\n/).filter((line) => line !== ""));
}
/** Posts; while the endpoint is busy, waits as long as it says and asks again. */
async function postPatiently(url, offer, options) {
	const until = performance.now() + (options.patienceMs ?? PATIENCE_MS);
	const headers = { "Content-Type": "application/sdp" };
	for (;;) try {
		return await send(url, {
			method: "POST",
			headers,
			body: offer
		}, options);
	} catch (error) {
		if (!(error instanceof BusyError) || error.retryAfter === void 0) throw error;
		if (performance.now() + 1e3 * error.retryAfter > until) throw error;
		await sleep(1e3 * error.retryAfter, options.signal);
	}
}
/** A request with the token. Throws `HttpError` where the answer is an error. */
async function send(url, request, options) {
	const { token } = options;
	const authorization = token === void 0 ? {} : { Authorization: `Bearer ${tokenNow(token)}` };
	const { signal, fetch: fetching = fetch } = options;
	const headers = {
		...authorization,
		...request.headers
	};
	const ends = signal !== void 0 && request.method === "POST" ? { signal } : {};
	const response = await fetching(url, {
		...request,
		headers,
		...ends
	});
	if (!response.ok) throw await HttpError.from(response);
	return response;
}
/** Resolves when all candidates are found, or enough time has passed. */
async function gathered(connection, signal, ms = GATHER_MS$1) {
	if (connection.iceGatheringState === "complete") return;
	const stop = new AbortController();
	const complete = new Promise((resolve) => {
		const look = () => connection.iceGatheringState === "complete" && resolve();
		connection.addEventListener("icegatheringstatechange", look, { signal: stop.signal });
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
/** Camera and microphone up, dubbed video down, on one connection. */
/** This route takes no candidates later: those that take longer are not waited for. */
const GATHER_MS = 1500;
/** Sends the tracks of `media` (null: none) and receives sound and picture; resolves when media can flow. */
async function call(url, media, options = {}) {
	const { element, iceServers = [], signal } = options;
	signal?.throwIfAborted();
	const make = () => {
		const connection = new RTCPeerConnection({ iceServers });
		for (const kind of ["audio", "video"]) {
			const track = media?.getTracks().find((one) => one.kind === kind);
			connection.addTransceiver(track ?? kind, { direction: track === void 0 ? "recvonly" : "sendrecv" });
		}
		return connection;
	};
	const agree = async (connection, stop) => {
		await connection.setLocalDescription();
		await gathered(connection, stop, GATHER_MS);
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
		make,
		agree,
		reconnects: 0
	}, signal);
	if (element !== void 0) element.srcObject = peer.media;
	return await peer.connect();
}

// dist/picture-decoder.js
/** Pictures of a stream, decoded: H264 (Annex B) by WebCodecs, JPEG by the browser's own image decoder. */
const MICROSECONDS = 1e6 / 16e3;
/** Baseline at level 3.1 to begin with: a stream's own parameter sets say what it is. */
const FALLBACK_CODEC = "avc1.42e01f";
/** Whether this browser decodes H264 by itself. */
async function decodesH264() {
	if (typeof VideoDecoder !== "function") return false;
	return (await VideoDecoder.isConfigSupported({ codec: FALLBACK_CODEC }).catch(() => void 0))?.supported === true;
}
/** The codec that an access unit's sequence parameter set names (RFC 6381): `avc1.PPCCLL`. */
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
		const timestamp = Math.round(media.pts * MICROSECONDS);
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
				pts: Math.round(image.timestamp / MICROSECONDS),
				image
			}),
			error: (error) => this.failed(error)
		});
	}
};
var JpegDecoder = class {
	show;
	failed;
	#isClosed = false;
	#last = Promise.resolve();
	constructor(show, failed) {
		this.show = show;
		this.failed = failed;
	}
	/** They are shown in their order, however long each takes. */
	push({ pts, data }) {
		const decoded = createImageBitmap(new Blob([data], { type: "image/jpeg" }));
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
/** Samples: -1 to 1 as 16 bit. What is louder is as loud as 16 bit can say. */
function toPcm16(samples) {
	const pcm = new Int16Array(samples.length);
	for (let i = 0; i < samples.length; i += 1) pcm[i] = Math.max(-32768, Math.min(32767, Math.round(samples[i] * 32767)));
	return pcm;
}
/** 16 bit, little endian, as they go over the wire. */
function pcmBytes(samples) {
	if (LITTLE_ENDIAN) return new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
	const view = new DataView(new ArrayBuffer(samples.byteLength));
	samples.forEach((sample, index) => view.setInt16(2 * index, sample, true));
	return new Uint8Array(view.buffer);
}
/** And back. */
function pcmSamples(bytes) {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	return Int16Array.from({ length: bytes.byteLength >> 1 }, (_, index) => view.getInt16(2 * index, true));
}
const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

// dist/sound-player.js
/** Sound of a stream, played: its clock is what pictures are shown by. */
const RATE = 48e3;
/** Media time: samples at 16 kHz. */
const MEDIA_RATE$1 = 16e3;
/** Seconds between coming and being heard, against the network's unrest. */
const DELAY = .12;
/** A gap in media time of more than this begins anew. */
const MOST_GAP = MEDIA_RATE$1 / 2;
var SoundPlayer = class {
	context = new AudioContext({
		sampleRate: RATE,
		latencyHint: "interactive"
	});
	#playing = /* @__PURE__ */ new Set();
	#next = 0;
	#at;
	/** Browsers play nothing until the person has done something: call it from a click. */
	async start() {
		await this.context.resume();
	}
	/** Takes the next 20 ms: 48 kHz, stereo. */
	push({ pts, data }) {
		const samples = pcmSamples(data);
		const buffer = this.context.createBuffer(2, samples.length / 2, RATE);
		for (const channel of [0, 1]) {
			const target = buffer.getChannelData(channel);
			for (let i = 0; i < target.length; i += 1) target[i] = samples[2 * i + channel] / 32768;
		}
		const now = this.context.currentTime;
		const due = this.#at === void 0 ? 0 : this.#at + pts / MEDIA_RATE$1;
		if (this.#at === void 0 || due < now || Math.abs(pts - this.#next) > MOST_GAP) this.#at = now + DELAY - pts / MEDIA_RATE$1;
		this.#next = pts + buffer.length / (RATE / MEDIA_RATE$1);
		const source = new AudioBufferSourceNode(this.context, { buffer });
		source.connect(this.context.destination);
		source.onended = () => this.#playing.delete(source);
		this.#playing.add(source);
		source.start(this.#at + pts / MEDIA_RATE$1);
	}
	/** Media time that is being heard; undefined before there is any. */
	get heard() {
		if (this.#at === void 0) return void 0;
		const latency = this.context.outputLatency || this.context.baseLatency || 0;
		return (this.context.currentTime - latency - this.#at) * MEDIA_RATE$1;
	}
	/** Media time at which what came so far ends. */
	get end() {
		return this.#next;
	}
	/** Barge-in: what waits is heard no more. */
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
/** A stream's media on a canvas and the loudspeaker: each picture is drawn when the sound of its time is heard. */
/** Decoded pictures that wait for their time. Full: the oldest is drawn no more. */
const PICTURES_KEPT = 30;
const MEDIA_MS = 16;
var CanvasPlayer = class {
	canvas;
	failed;
	sound = new SoundPlayer();
	/** Pictures drawn so far. */
	drawn = 0;
	#brush;
	#waiting = [];
	#off;
	#decoder;
	#shown;
	#frame = 0;
	/** Plays what `stream` sends from now on: `h264` or `jpeg`, and `pcm16`. `failed` hears of pictures that are none. */
	constructor(canvas, stream, failed = () => void 0) {
		this.canvas = canvas;
		this.failed = failed;
		this.#brush = canvas.getContext("2d");
		this.#off = [stream.on("media", (media) => this.#push(media)), stream.on("playback.finished", ({ interrupted }) => interrupted && this.sound.clear())];
		this.#frame = requestAnimationFrame(() => this.#draw());
	}
	/** Milliseconds by which the sound that is heard is ahead of the picture that is seen; null before both are there. */
	get skewMs() {
		const { heard } = this.sound;
		return heard === void 0 || this.#shown === void 0 ? null : (heard - this.#shown) / MEDIA_MS;
	}
	/** Milliseconds that the newest sound waits before it is heard; null before there is any. */
	get waitMs() {
		const { heard, end } = this.sound;
		return heard === void 0 ? null : (end - heard) / MEDIA_MS;
	}
	close() {
		cancelAnimationFrame(this.#frame);
		for (const off of this.#off) off();
		this.#decoder?.decoder.close();
		for (const { image } of this.#waiting.splice(0)) image.close();
		this.sound.close();
	}
	#push(media) {
		if (media.kind === "audio") this.sound.push(media);
		else if (media.kind !== "fmp4") this.#decoderOf(media.kind).push(media);
	}
	#decoderOf(kind) {
		if (this.#decoder?.kind !== kind) {
			this.#decoder?.decoder.close();
			const made = kind === "h264" ? H264Decoder : JpegDecoder;
			this.#decoder = {
				kind,
				decoder: new made((picture) => this.#decoded(picture), this.failed)
			};
		}
		return this.#decoder.decoder;
	}
	#decoded(picture) {
		this.#waiting.push(picture);
		if (this.#waiting.length > PICTURES_KEPT) this.#waiting.shift()?.image.close();
	}
	#draw() {
		this.#frame = requestAnimationFrame(() => this.#draw());
		const due = this.sound.heard ?? Infinity;
		let newest;
		while (this.#waiting[0] !== void 0 && this.#waiting[0].pts <= due) {
			newest?.image.close();
			newest = this.#waiting.shift();
		}
		if (newest === void 0) return;
		const { image, pts } = newest;
		const [width, height] = "displayWidth" in image ? [image.displayWidth, image.displayHeight] : [image.width, image.height];
		if (this.canvas.width !== width) this.canvas.width = width;
		if (this.canvas.height !== height) this.canvas.height = height;
		this.#brush?.drawImage(image, 0, 0);
		image.close();
		this.#shown = pts;
		this.drawn += 1;
	}
};

// dist/base64.js
/** Bytes as base64 (RFC 4648, 4). */
function toBase64(bytes) {
	let text = "";
	for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
	return btoa(text);
}
/** Base64 as bytes. Throws where it is none. */
function fromBase64(text) {
	return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// dist/packets.js
/** Binary messages: a header of 16 bytes, little endian (kind, flags, reserved, generation, pts), and a payload. */
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
	19: "fmp4"
};
/** A packet of speech as bytes. Throws `RangeError` for numbers that the header cannot hold. */
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
/** Media from the server. The payload is a view of `bytes`. Throws `ProtocolError`. */
function unpackMedia(bytes) {
	if (bytes.length <= 16) throw new ProtocolError("bad_packet", `${bytes.length} bytes (need a header of ${16} and a payload)`);
	const header = new DataView(bytes.buffer, bytes.byteOffset, 16);
	const kind = MEDIA_KINDS[header.getUint8(0)];
	if (kind === void 0) throw new ProtocolError("bad_packet", `kind ${header.getUint8(0)} is not the server's (need 16 to 19)`);
	const flags = header.getUint8(1);
	const pts = header.getBigUint64(8, true);
	if (flags & -4 || header.getUint16(2, true) !== 0 || pts > Number.MAX_SAFE_INTEGER) throw new ProtocolError("bad_packet", "the header says what this version does not know");
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
/** `mytalk.v1` to and from text and bytes. Sans-IO: no socket, no clock. */
const SUBPROTOCOL = "mytalk.v1";
/** A browser cannot set headers: it offers this and its token as a second subprotocol. */
const TOKEN_PREFIX = "mytalk.token.";
/** What the server sent. Throws `ProtocolError`, of code `unknown_type` for a message to pass over. */
function parseServer(data) {
	return typeof data === "string" ? parseText(data) : unpackMedia(data);
}
/** As JSON; bytes as base64. */
function toText(message) {
	return JSON.stringify(message, (_, value) => value instanceof Uint8Array ? toBase64(value) : value);
}
/** Whether resuming repeats a message, and both sides count it. Packets are counted. */
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
const reason = (value) => [
	"none",
	"small",
	"turned"
].includes(value);
const kind = (value) => [
	"audio",
	"h264",
	"jpeg",
	"fmp4"
].includes(value);
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
	"face.lost": { reason },
	"face.found": { lost_ms: count },
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
		kind,
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
/** Fragmented MP4 of a stream, by Media Source Extensions: for browsers that decode no H264 otherwise. */
/** H264 of any profile that the server may send; what it is, the MP4's beginning says. */
const BASELINE = "avc1.42e01f";
/** Seconds behind the newest fragment, beyond which playing jumps forward. */
const MOST_BEHIND = 1;
/** And where it jumps to. */
const BEHIND = .25;
/** Seconds of what was played that are kept: twice as much, and half of it goes. */
const KEPT = 10;
/** Fragments that wait for the buffer: about 13 s. Full: playing has failed, for an MP4 with a hole is none. */
const FRAGMENTS_KEPT = 1024;
/** Whether this browser can. */
function playsFmp4() {
	return typeof MediaSource === "function" && MediaSource.isTypeSupported(typeOf(BASELINE));
}
/** The codec that a beginning names: three bytes of its `avcC` (ISO 14496-15, 5.3.3.1), as RFC 6381 writes them. */
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
	/** Plays the `fmp4` that `stream` sends from now on. `failed` hears why it cannot go on. */
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
			if (this.#fragments.length > FRAGMENTS_KEPT) this.#fail(/* @__PURE__ */ new RangeError("the browser takes in no more video"));
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
	/** Gives the buffer what waits, up to another beginning. */
	#feed() {
		const [first] = this.#fragments;
		if (this.#source.readyState !== "open" || this.#buffer?.updating || first === void 0) return;
		try {
			if (first.init) this.#begin(first.data);
			if (this.#buffer === void 0 || this.#forget(this.#buffer)) return;
			const next = this.#fragments.findIndex(({ init }, index) => init && index > 0);
			const parts = this.#fragments.splice(0, next < 0 ? this.#fragments.length : next);
			this.#buffer.appendBuffer(joined(parts));
		} catch (error) {
			this.#fail(error);
		}
	}
	/** An MP4 begins: the first, or one of another size. */
	#begin(init) {
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
	/** Whether the buffer is busy forgetting what was played long ago. */
	#forget(buffer) {
		const { buffered, currentTime } = this.video;
		if (buffered.length === 0 || currentTime - buffered.start(0) < 20) return false;
		buffer.remove(buffered.start(0), currentTime - KEPT);
		return true;
	}
	/** Live: what lies far behind the newest is not played. A session is older than its stream: it does not begin at 0. */
	#keepUp() {
		const { buffered, currentTime } = this.video;
		if (buffered.length === 0) return;
		const begin = buffered.start(buffered.length - 1);
		const newest = buffered.end(buffered.length - 1);
		if (currentTime >= begin && newest - currentTime <= MOST_BEHIND) return;
		this.video.currentTime = Math.max(begin, newest - BEHIND);
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
/** Every message of `mytalk.v1` as a type, named as on the wire (PROTOCOL.md): discriminated unions by `type`. */
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
/** What comes faster than it is read, in order. One reader. */
var Queue = class {
	bound;
	full;
	onReturn;
	#items = [];
	#reader;
	#over;
	/**
	* @param bound items that wait
	* @param full what happens beyond: `forget` the oldest, or `fail`, which ends the queue with an error
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
		if (this.full === "forget") this.#items.shift();
		else this.end(/* @__PURE__ */ new RangeError(`${this.bound} messages wait to be read (read them faster)`));
	}
	/** Nothing more comes; what waits can still be read. */
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
/** Chunks (20 ms) that wait for a reader: 4 s. Full: the oldest is forgotten, for speech that late is no use live. */
const CHUNKS_KEPT = 200;
/**
* An endless loop of 20 ms of mono, until `stop`.
*
*     const microphone = await Microphone.open();
*     await microphone.speakInto(stream);
*/
var Microphone = class Microphone {
	media;
	rate;
	context;
	isOurs;
	#chunks = new Queue(CHUNKS_KEPT, "forget");
	constructor(media, rate, context, isOurs) {
		this.media = media;
		this.rate = rate;
		this.context = context;
		this.isOurs = isOurs;
	}
	/** Throws the browser's own `NotAllowedError` or `NotFoundError` where there is no microphone for us. */
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
	/** Says all that it hears, until it is stopped or the stream is over. The stream's format must be its own. */
	async speakInto(stream) {
		for await (const chunk of this) await stream.say(chunk);
	}
	[Symbol.asyncIterator]() {
		return this.#chunks;
	}
	stop() {
		this.#chunks.end();
		if (this.isOurs) for (const track of this.media.getTracks()) track.stop();
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

// dist/line.js
/** The connections of one stream, one after the other: when one breaks, the next goes on where it stopped. */
const PING_MS = 5e3;
/** Nothing came for so long, not even an answer to a ping: the connection is taken for broken. */
const SILENCE_MS = 12e3;
const ACK_MS = 1e3;
/** A connection that takes longer to be made is given up. */
const OPEN_MS = 5e3;
const MOST_WAIT_MS = 2e3;
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
var Line = class {
	url;
	token;
	openSocket;
	lines;
	#socket;
	#attempt = 0;
	#up = false;
	#over = false;
	#resumeMs = 0;
	#resumable = 0;
	#expected;
	#heardAt = 0;
	#pingedAt = 0;
	#acknowledged = 0;
	#timer;
	constructor(url, token, openSocket, lines) {
		this.url = url;
		this.token = token;
		this.openSocket = openSocket;
		this.lines = lines;
	}
	/** Makes the first connection. */
	async open() {
		await this.#connect(this.url);
		this.#timer = setInterval(() => this.#tick(), ACK_MS);
		this.#timer.unref?.();
	}
	/** Sends now, or not at all: what is counted comes again when the line is up. */
	send(data) {
		if (this.#up) this.#socket?.send(data);
	}
	/** The server knows the stream on this connection: what is `missing` there goes first. */
	isUp(missing, resumeMs = this.#resumeMs) {
		this.#resumeMs = resumeMs;
		this.#up = true;
		for (const { data } of missing) this.#socket?.send(data);
		this.lines.changed("open");
	}
	/** The connection closes next, and this is why. */
	expectClose(closed) {
		this.#expected = closed;
	}
	close(code) {
		this.#over = true;
		this.#up = false;
		this.#attempt += 1;
		clearInterval(this.#timer);
		this.#socket?.close(code);
		this.#socket = void 0;
	}
	async #connect(url) {
		const attempt = this.#attempt += 1;
		const early = [];
		let earlyEnd;
		const opening = this.openSocket(url, tokenNow(this.token), {
			message: (data) => {
				if (attempt !== this.#attempt) return;
				this.#heardAt = performance.now();
				if (this.#socket === void 0) early.push(data);
				else this.lines.receive(data);
			},
			closed: (code) => {
				if (attempt !== this.#attempt) return;
				if (this.#socket === void 0) earlyEnd = code;
				else this.#closed(code);
			}
		});
		const slow = sleep(OPEN_MS).then(() => {
			throw new DisconnectedError(`no connection within ${OPEN_MS / 1e3} s`, 1006);
		});
		slow.catch(() => void 0);
		opening.then((socket) => attempt !== this.#attempt && socket.close(1e3)).catch(() => void 0);
		try {
			this.#socket = await Promise.race([opening, slow]);
		} catch (error) {
			this.#attempt += 1;
			throw error;
		}
		if (this.#over) throw new DisconnectedError("the stream was closed", 1e3);
		this.#heardAt = this.#pingedAt = performance.now();
		for (const data of early) this.lines.receive(data);
		if (earlyEnd !== void 0) this.#closed(earlyEnd);
	}
	#closed(code) {
		if (this.#up) this.#resumable = performance.now() + this.#resumeMs;
		this.#socket = void 0;
		this.#up = false;
		const reason = FINAL[code];
		if (this.#expected !== void 0) this.#finish(this.#expected);
		else if (code === 1e3 || code === 1001) this.#finish({ reason });
		else if (reason !== void 0) this.#finish({
			reason,
			error: new DisconnectedError(reason, code)
		});
		else if (this.#resumeMs === 0) this.#broken("the connection broke before the stream began");
		else this.#resume();
	}
	async #resume() {
		this.lines.changed("resuming");
		for (let wait = 0; !this.#over; wait = Math.min(MOST_WAIT_MS, 2 * wait || 250)) {
			await sleep(wait);
			if (this.#over) return;
			if (performance.now() > this.#resumable) return this.#broken(`the connection broke, and none came for ${this.#resumeMs / 1e3} s`);
			const url = new URL(this.url);
			url.searchParams.set("resume", String(this.lines.received()));
			try {
				return await this.#connect(url.href);
			} catch {
				continue;
			}
		}
	}
	#broken(reason) {
		this.#finish({
			reason,
			error: new DisconnectedError(reason, 1006)
		});
	}
	#finish(closed) {
		this.#over = true;
		clearInterval(this.#timer);
		this.lines.over(closed);
	}
	#tick() {
		if (!this.#up) return;
		const now = performance.now();
		const received = this.lines.received();
		if (received !== this.#acknowledged) this.#socket?.send(toText({
			type: "ack",
			received
		}));
		this.#acknowledged = received;
		if (now - this.#pingedAt > PING_MS) {
			this.#pingedAt = now;
			this.#socket?.send(toText({ type: "ping" }));
		}
		if (now - this.#heardAt < SILENCE_MS) return;
		this.#attempt += 1;
		this.#socket?.close(4001);
		this.#closed(1006);
	}
};

// dist/sent.js
/** Counted messages to the server, kept until it has them: what a resumed connection sends again. Sans-IO. */
var Sent = class {
	#kept = [];
	#first = 0;
	/** Messages so far. */
	get count() {
		return this.#first + this.#kept.length;
	}
	/** Milliseconds of speech that the server may not have yet. */
	get speech() {
		return this.#kept.reduce((sum, { speech }) => sum + speech, 0);
	}
	put(message) {
		this.#kept.push(message);
	}
	/** What was said is not heard any more: it takes no room. */
	hush() {
		for (const message of this.#kept) message.speech = 0;
	}
	/** The server has the first `received`. Throws `RangeError` where fewer were sent, or more forgotten. */
	acknowledge(received) {
		if (received < this.#first || received > this.count) throw new RangeError(`${received} messages received (sent: ${this.count}, kept from ${this.#first} on)`);
		this.#kept.splice(0, received - this.#first);
		this.#first = received;
	}
	/** What the server does not have yet, in order. */
	rest() {
		return this.#kept;
	}
};

// dist/socket.js
/** One WebSocket connection: the browser's own, or in Node before version 22 one over `node:http`. */
const openSocket = async (url, token, events) => {
	if (typeof WebSocket === "function") return openWebSocket(url, token, events);
	const { openNodeSocket } = await import("./node-socket.js");
	return openNodeSocket(url, token, events);
};
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
/** Samples (48 kHz) in one Opus packet: RFC 6716, 3.1 and 3.2. Throws `RangeError` for what is no packet. */
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
/** Speech on its way to the server: cut into messages, counted, and not too far ahead of what is heard. */
/** Media time: samples at 16 kHz. */
const MEDIA_RATE = 16e3;
/** Messages a second, for PCM. */
const MESSAGES = 10;
var SpeechWriter = class {
	put;
	sent;
	aheadMs;
	generation = 0;
	#format;
	#pts = 0;
	#waitingThere = 0;
	#since = 0;
	#room;
	#turn = Promise.resolve();
	#over;
	#refused;
	/**
	* @param put sends a packet that holds so many milliseconds of speech
	* @param sent what the server may not have yet
	* @param aheadMs speech that may wait, here, there and on the way
	*/
	constructor(put, sent, aheadMs) {
		this.put = put;
		this.sent = sent;
		this.aheadMs = aheadMs;
	}
	/** Does `work` when all before it is done: what is said keeps its order. */
	inTurn(work, signal) {
		const done = this.#turn.then(() => {
			signal?.throwIfAborted();
			if (this.#over !== void 0) throw this.#over;
			return work();
		});
		this.#turn = done.catch(() => void 0);
		return abortable(done, signal);
	}
	say(speech, { signal, at } = {}) {
		const generation = this.generation;
		return this.inTurn(async () => {
			const format = this.#format;
			if (format === void 0) throw new TypeError("speech in no format (first update({ speech: ... }))");
			let samples = 0;
			for (const part of parts(speech, format)) {
				while (generation === this.generation && this.#refused === void 0 && this.#ahead > this.aheadMs) await abortable((this.#room ??= deferred()).promise, signal);
				if (generation !== this.generation) break;
				if (this.#refused !== void 0) throw this.#refused;
				const ms = 1e3 * part.samples / format.rate;
				const timed = at !== void 0;
				const pts = timed ? at + Math.floor(samples * MEDIA_RATE / format.rate) : this.#pts;
				this.put(packSpeech({
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
	/** Speech comes like this from now on. */
	expect(format) {
		this.#format = format;
		this.#pts = 0;
		this.#refused = void 0;
	}
	/** The server did not take a packet: nothing more is sent before another format, or a clear, begins anew. */
	refuse(error) {
		this.#refused = error;
		this.#wake();
	}
	/** What is said from now on belongs to `generation`; what waits to be said is not. */
	nextGeneration(generation) {
		this.generation = generation;
		this.#pts = 0;
		this.#refused = void 0;
		this.#waitingThere = 0;
		this.sent.hush();
		this.#since = this.sent.count;
		this.#wake();
	}
	/** A message of that generation came: someone else may have cleared. */
	sawGeneration(generation) {
		if (generation > this.generation) this.nextGeneration(generation);
	}
	/** So much speech waited at the server when it had `received` messages: of an older generation it means nothing. */
	waiting(ms, received) {
		if (received > this.#since || this.generation === 0) this.#waitingThere = ms;
		this.#wake();
	}
	end(error) {
		this.#over = error;
		this.#room?.reject(error);
	}
	get #ahead() {
		return this.#waitingThere + this.sent.speech;
	}
	#wake() {
		this.#room?.resolve();
		this.#room = void 0;
	}
};
function* parts(speech, format) {
	if (speech instanceof Uint8Array) {
		if (format.encoding !== "opus") throw new TypeError("bytes, but the format is pcm16 (need Int16Array or Float32Array)");
		yield {
			payload: speech,
			samples: opusSamples(speech)
		};
		return;
	}
	if (format.encoding !== "pcm16") throw new TypeError("samples, but the format is opus (need a Uint8Array, one packet)");
	if (speech.length % format.channels !== 0) throw new RangeError(`${speech.length} samples (need as many of each of ${format.channels} channels)`);
	const step = Math.floor(format.rate / MESSAGES) * format.channels;
	for (let at = 0; at < speech.length; at += step) {
		const part = speech.subarray(at, at + step);
		const pcm = part instanceof Float32Array ? toPcm16(part) : part;
		yield {
			payload: pcmBytes(pcm),
			samples: pcm.length / format.channels
		};
	}
}

// dist/stream.js
/** A session's stream: speech in, events and media out, whatever becomes of the connection that carries it. */
/** Events that wait for a reader. Full: the oldest is forgotten. */
const EVENTS_KEPT = 512;
/** Media messages that wait for a reader: about 7 s. Full: the reader gets an error. */
const MEDIA_KEPT = 512;
/** Far below the 30 s from which on the server reads no more, a `speech.clear` included. */
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
*     await stream.say(samples);                       // Int16Array, Float32Array, or one Opus packet
*     const { utterance } = await stream.commit();
*     for await (const event of stream) if (event.type === "playback.finished") break;
*
* A connection that breaks is made again and nothing is lost; where that fails, what waits throws and the loop does.
*/
var Stream = class Stream {
	/** Resolves when it is over. */
	closed;
	#listeners = new Listeners();
	#events = new Queue(EVENTS_KEPT, "forget");
	#media = /* @__PURE__ */ new Set();
	#questions = /* @__PURE__ */ new Map();
	#sent = new Sent();
	#line;
	#over = deferred();
	#created = deferred();
	#speech;
	#isOver = false;
	#received = 0;
	#asked = 0;
	#committed = 0;
	#heard;
	constructor(url, token, options) {
		this.closed = this.#over.promise;
		this.#speech = new SpeechWriter((data, speech) => this.#put(data, speech), this.#sent, options.aheadMs ?? AHEAD_MS);
		this.#line = new Line(url, token, options.socket ?? openSocket, {
			receive: (data) => this.#receive(data),
			received: () => this.#received,
			changed: (state) => this.#listeners.emit("connection", state),
			over: (closed) => this.#end(closed)
		});
	}
	/** Connects, and says what is in `options`. */
	static async open(url, token, options = {}) {
		const { speech, output, controls, signal } = options;
		signal?.throwIfAborted();
		const stream = new Stream(url, token, options);
		try {
			await abortable(stream.#line.open(), signal);
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
	/** The first message: limits, controls, disclosure. */
	get created() {
		return this.#created.promise;
	}
	/** Clears so far: what is said now belongs to this generation. */
	get generation() {
		return this.#speech.generation;
	}
	/**
	* Sends speech in the format that was announced, in order; waits while too much is ahead. Gives the samples (of a
	* channel) that were sent: fewer than given where `clear` came meanwhile. Throws `ServerError` where the server did
	* not take what was sent before, until `clear` or another format begins anew.
	*/
	say(speech, options = {}) {
		return this.#speech.say(speech, options);
	}
	/** The utterance ends here. */
	async commit(signal) {
		return await this.#speech.inTurn(() => this.#ask({ type: "speech.commit" }, "speech.committed", signal), signal);
	}
	/** Barge-in: nothing said so far is heard any more. Gives how far it was heard. */
	clear(signal) {
		this.#speech.nextGeneration(this.#speech.generation + 1);
		return this.#ask({ type: "speech.clear" }, "playback.finished", signal);
	}
	/** Resolves when an utterance was heard to its end, or cut short. */
	async finished(utterance, signal) {
		const found = deferred();
		const look = () => {
			if (this.#heard !== void 0 && this.#heard.until >= utterance) found.resolve(this.#heard.event);
		};
		look();
		const off = this.on("playback.finished", look);
		this.closed.then(({ error, reason }) => found.reject(error ?? new DisconnectedError(reason, 1e3)));
		try {
			return await abortable(found.promise, signal);
		} finally {
			off();
		}
	}
	/** Changes the speech's format, the output or controls; gives what holds now. */
	async update(changes, signal) {
		const ask = () => this.#ask({
			type: "session.update",
			...changes
		}, "session.updated", signal);
		if (changes.speech === void 0) return await ask();
		return await this.#speech.inTurn(async () => {
			const updated = await ask();
			if (updated.speech !== void 0) this.#speech.expect(updated.speech);
			return updated;
		}, signal);
	}
	/** Calls `listener` for each message of a type, or change of the connection; returns what ends that. */
	on(type, listener, signal) {
		return this.#listeners.on(type, listener, signal);
	}
	/** Events from the opening on. One loop at a time. */
	[Symbol.asyncIterator]() {
		return { next: () => this.#events.next() };
	}
	/** Sound and pictures from now on. */
	media() {
		const queue = new Queue(MEDIA_KEPT, "fail", () => this.#media.delete(queue));
		if (this.#isOver) queue.end();
		else this.#media.add(queue);
		return queue;
	}
	/** Ends the session, for everybody. */
	async end() {
		this.#put(toText({ type: "session.end" }), 0);
		await this.closed;
	}
	/** Leaves the stream. The session goes on only while it has something else to live for. */
	close() {
		this.#line.close(1e3);
		this.#end({ reason: "closed by this side" });
	}
	#ask(message, _answer, signal) {
		if (this.#isOver) return Promise.reject(new DisconnectedError("the stream is over", 1e3));
		const event_id = `js-${this.#asked += 1}`;
		const answer = deferred();
		this.#questions.set(event_id, answer);
		this.#put(toText({
			...message,
			event_id
		}), 0);
		return abortable(answer.promise, signal);
	}
	#put(data, speech) {
		if (this.#isOver) throw new DisconnectedError("the stream is over", 1e3);
		this.#sent.put({
			data,
			speech
		});
		this.#line.send(data);
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
		this.#take(message);
		this.#listeners.emit(message.type, message);
		if (message.type === "media") for (const queue of this.#media) queue.push(message);
		else if (message.type !== "ack" && message.type !== "pong") this.#events.push(message);
		this.#answer(message);
	}
	#take(message) {
		if ("generation" in message && message.type !== "speech.dropped") this.#speech.sawGeneration(message.generation);
		switch (message.type) {
			case "session.created":
				this.#line.isUp([], message.limits.resume_ms);
				this.#created.resolve(message);
				break;
			case "session.resumed":
				this.#acknowledged(message.received);
				this.#line.isUp(this.#sent.rest());
				break;
			case "ack":
				this.#acknowledged(message.received);
				this.#speech.waiting(message.buffered_ms, message.received);
				break;
			case "speech.committed":
				this.#committed = message.utterance;
				break;
			case "playback.finished":
				this.#heard = {
					until: Math.max(message.utterance ?? 0, message.interrupted ? this.#committed : 0),
					event: message
				};
				break;
			case "session.ended":
				this.#line.expectClose({ reason: message.reason });
				break;
			case "error": if (message.fatal) this.#line.expectClose({
				reason: message.message,
				error: serverError(message)
			});
			else if (SPEECH_ERRORS.has(message.code) && message.event_id === void 0) this.#speech.refuse(serverError(message));
		}
	}
	#answer(message) {
		if (!("event_id" in message) || message.event_id === void 0) return;
		const answer = this.#questions.get(message.event_id);
		this.#questions.delete(message.event_id);
		if (message.type === "error") answer?.reject(serverError(message));
		else answer?.resolve(message);
	}
	#acknowledged(received) {
		try {
			this.#sent.acknowledge(received);
		} catch (error) {
			this.#fail(new ProtocolError("bad_message", String(error)));
		}
	}
	#fail(error) {
		this.#line.close(1008);
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
		for (const answer of this.#questions.values()) answer.reject(error);
		this.#questions.clear();
		this.#speech.end(error);
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
/** Watching by WHEP: any endpoint of the draft, ours or another's. */
/**
* Resolves when media can flow.
*
*     const peer = await watch("https://host/v1/sessions/ID/whep", { token, element: video });
*/
async function watch(url, options = {}) {
	const { element, audio = true, video = true, iceServers = [], signal, renew, renewed, token } = options;
	signal?.throwIfAborted();
	const make = () => {
		const connection = new RTCPeerConnection({ iceServers });
		if (audio) connection.addTransceiver("audio", { direction: "recvonly" });
		if (video) connection.addTransceiver("video", { direction: "recvonly" });
		return connection;
	};
	const lasting = renew !== void 0 && typeof token === "string" ? new LastingToken(token, "view", () => renew, options.fetch ?? ((...given) => fetch(...given)), renewed) : void 0;
	const known = lasting === void 0 ? options : {
		...options,
		token: () => lasting.now
	};
	const peer = new Peer(planned(make, new URL(url), known), signal);
	if (element !== void 0) element.srcObject = peer.media;
	peer.closed.then(() => lasting?.stop());
	await peer.connect();
	lasting?.renewAfter(0);
	return peer;
}

// dist/whip.js
/** Publishing by WHIP (RFC 9725): to any endpoint, ours or another's. */
/** Sends all tracks of `media`; resolves when they can flow. The tracks stay the caller's, to be stopped by it. */
async function publish(url, media, options = {}) {
	const { iceServers = [], signal, videoBitrate } = options;
	signal?.throwIfAborted();
	const tracks = media.getTracks();
	if (tracks.length === 0) throw new TypeError("nothing to publish (need a camera or a microphone track)");
	const make = () => {
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
	return await new Peer(planned(make, new URL(url), options), signal).connect();
}

// dist/session.js
/** Sessions of a server, over HTTP: made, watched, published to, spoken to, interrupted, ended. */
/** A server. */
var Client = class {
	base;
	#headers;
	#fetch;
	constructor(base, options = {}) {
		this.base = new URL(base);
		this.#headers = options.apiKey === void 0 ? {} : bearer(options.apiKey);
		this.#fetch = options.fetch ?? ((...given) => fetch(...given));
	}
	/** Makes a session. `BusyError`: the server has no room, or is not ready; ask again after `retryAfter`. */
	async create(options = {}, signal) {
		return await this.#create(JSON.stringify(options), { "Content-Type": "application/json" }, signal);
	}
	/** Makes a session whose face is a picture. `HttpError` of status 422: no face was found on it. */
	async createWith(portrait, options = {}, signal) {
		const { picture, consent } = portrait;
		const form = new FormData();
		form.append("session", JSON.stringify({
			source: "portrait",
			...options,
			...consent && { consent }
		}));
		form.append("portrait", picture);
		return await this.#create(form, {}, signal);
	}
	async #create(body, kind, signal) {
		const url = new URL("/v1/sessions", this.base);
		const headers = {
			...this.#headers,
			...kind
		};
		const response = await this.#fetch(url, {
			method: "POST",
			headers,
			body,
			...signal && { signal }
		});
		if (!response.ok) throw await HttpError.from(response);
		return new Session(await response.json(), response.url || url, this.#fetch);
	}
};
/**
* One session. Anybody who has its description may make this object of it. Once something of it was opened, its token
* is renewed at half of its life, until the session has ended: a connection that is made anew needs one that is good.
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
		this.#token = new LastingToken(description.token, "own", () => this.url("tokens"), fetching);
	}
	/** Its owner's, the newest. */
	get token() {
		return this.#token.now;
	}
	get id() {
		return this.description.id;
	}
	/** To be shown to whoever sees the video. */
	get disclosure() {
		return this.description.disclosure;
	}
	/** Speech in; events, and if wanted media, out. */
	open(options = {}) {
		const url = this.url("stream");
		url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
		return Stream.open(url.href, this.#freshToken(), options);
	}
	/** Watches it by WHEP. */
	watch(options = {}) {
		const [token, iceServers] = [this.#freshToken(), this.description.ice_servers];
		return watch(this.url("whep"), {
			token,
			iceServers,
			...options
		});
	}
	/** Publishes camera, microphone or both into it by WHIP. */
	publish(media, options = {}) {
		const [token, iceServers] = [this.#freshToken(), this.description.ice_servers];
		return publish(this.url("whip"), media, {
			token,
			iceServers,
			...options
		});
	}
	/** Camera and microphone up and the dubbed video down, on one connection; the session ends with it. */
	call(media, options = {}) {
		const [token, iceServers] = [this.#freshToken(), this.description.ice_servers];
		return call(this.url("webrtc"), media, {
			token,
			iceServers,
			...options
		});
	}
	/** How it does. `GoneError`: it has ended. */
	async state(signal) {
		return await this.#ask("GET", "session", signal);
	}
	/** Barge-in, where there is no stream to say it by. */
	async clear(signal) {
		return await this.#ask("POST", "clear", signal);
	}
	/** Ends it and frees all of it. That it had ended already is no error. */
	async end() {
		this.#token.stop();
		await this.#ask("DELETE", "session", void 0, true).catch((error) => {
			if (!(error instanceof HttpError && error.status === 404)) throw error;
		});
	}
	/** The address of one of its routes: `session`, `stream`, `whip`, `whep`, `webrtc`, `clear`. */
	url(route) {
		const path = this.description.urls[route];
		if (path === void 0) throw new TypeError(`the server has no ${route} (an older one?)`);
		return new URL(path, this.#base);
	}
	/** The token of whenever it is called; from now on one that is good. */
	#freshToken() {
		const { expires_in: seconds, urls } = this.description;
		if (seconds !== void 0 && urls["tokens"] !== void 0 && !this.#token.isRenewed) this.#token.renewAfter(500 * seconds);
		return () => this.#token.now;
	}
	async #ask(method, route, signal, keepalive = false) {
		const headers = bearer(this.#token.now);
		const response = await this.#fetch(this.url(route), {
			method,
			headers,
			keepalive,
			...signal && { signal }
		});
		if (!response.ok) throw await HttpError.from(response);
		return await response.json();
	}
};
function bearer(token) {
	return { Authorization: `Bearer ${token}` };
}

export { BusyError, CanvasPlayer, Client, DisconnectedError, ForbiddenError, GoneError, HttpError, MediaSourcePlayer, Microphone, MyTalkError, NotAuthorizedError, Peer, PeerError, ProtocolError, SPEECH_RATES, SUBPROTOCOL, ServerError, Session, Stream, TOKEN_PREFIX, UnsupportedError, call, decodesH264, packSpeech, parseServer, playsFmp4, publish, toPcm16, toText, unpackMedia, watch };