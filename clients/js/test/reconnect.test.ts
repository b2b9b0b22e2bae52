/** Tests reconnecting, after the server dropped a connection or cannot restart it. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { GoneError, PeerError } from "../src/errors.js";
import type { PeerState, Reconnecting } from "../src/peer.js";
import { watch } from "../src/whep.js";
import { publish } from "../src/whip.js";
import { FakeConnection, FakeMedia } from "./fake-connection.js";

const URL_OF = "https://host.example/whep";
const ANSWER = "v=0\r\na=ice-ufrag:user\r\na=ice-pwd:passpasspasspasspasspa\r\n";

type Answer = () => Response | Promise<Response>;
type Script = { POST?: Answer[]; PATCH?: Answer[] };

const forgotten: Answer = () => new Response('{"error": {"code": "unknown", "message": "no such connection"}}', { status: 404 });
const away: Answer = () => Promise.reject(new TypeError("fetch failed"));
const busy: Answer = () => new Response("{}", { status: 503, headers: { "Retry-After": "2" } });

/** A server that accepts offers and cannot restart ICE; `script` overrides its answers to a method, in turn. */
function server(script: Script = {}) {
  const asked: string[] = [];
  let made = 0;
  const fetching = vi.fn<typeof fetch>(async (url, request) => {
    const method = request?.method as "POST" | "PATCH" | "DELETE";
    asked.push(`${method} ${new URL(String(url)).pathname}`);
    request?.signal?.throwIfAborted();
    const answer = method === "DELETE" ? undefined : script[method]?.shift();
    if (answer !== undefined) return await answer();
    if (method !== "POST") return await forgotten();
    made += 1;
    return new Response(ANSWER, { status: 201, headers: { Location: `/whep/${made}` } });
  });
  return { asked, fetching };
}

/** Connects a viewer; `later` overrides the answers from then on. */
async function watching(later: Script = {}, signal?: AbortSignal) {
  const script: Script = {};
  const { asked, fetching } = server(script);
  const peer = await watch(URL_OF, { fetch: fetching, ...(signal && { signal }) });
  Object.assign(script, later);
  asked.length = 0;
  const states: PeerState[] = [];
  const attempts: Reconnecting[] = [];
  peer.on("connection", (state) => states.push(state));
  peer.on("reconnecting", (one) => attempts.push(one));
  return { peer, asked, states, attempts, first: FakeConnection.made[0] as FakeConnection };
}

beforeEach(() => {
  FakeConnection.made = [];
  FakeConnection.areBlocked = false;
  vi.stubGlobal("RTCPeerConnection", FakeConnection);
  vi.stubGlobal("MediaStream", FakeMedia);
  vi.useFakeTimers();
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("a connection that the server closes is made again at once, without a restart", async () => {
  const { peer, asked, states, attempts, first } = await watching();
  first.transport.close();
  await vi.advanceTimersByTimeAsync(0);
  expect(asked).toEqual(["DELETE /whep/1", "POST /whep"]);
  expect(states).toEqual(["reconnecting", "open"]);
  expect(attempts).toMatchObject([{ attempt: 1, cause: { message: "the server closed the connection" } }]);
  first.transport.close();
  await vi.advanceTimersByTimeAsync(0);
  expect(states).toEqual(["reconnecting", "open"]);
  await peer.close();
});

test("where the session has ended too, it is closed at once", async () => {
  const { peer, states, first } = await watching({ POST: [forgotten] });
  first.transport.close();
  await vi.advanceTimersByTimeAsync(0);
  expect(states).toEqual(["reconnecting", "closed"]);
  expect(await peer.closed).toMatchObject({ name: "PeerError", cause: { status: 404 } });
});

test.each([404, 410])("a server that answers a restart with %i gets another offer, and media go on", async (status) => {
  const gone = () => new Response("{}", { status });
  const { peer, asked, states, attempts, first } = await watching({ PATCH: [gone] });
  first.setState("failed");
  await vi.advanceTimersByTimeAsync(0);
  expect(asked).toEqual(["PATCH /whep/1", "POST /whep"]);
  expect(states).toEqual(["restarting", "reconnecting", "open"]);
  expect(attempts).toMatchObject([{ attempt: 1, of: 6, cause: { name: "GoneError", status } }]);
  const [, second] = FakeConnection.made;
  expect(peer.connection).toBe(second);
  expect(peer.media.getTracks()).toMatchObject([{ kind: "video", of: second }]);
  expect(first.close).toHaveBeenCalled();
  await peer.close();
  expect(asked.slice(2)).toEqual(["DELETE /whep/2"]);
  expect(await peer.closed).toBeUndefined();
});

test("a new connection recovers as the first one did", async () => {
  const { asked, states, first } = await watching();
  first.setState("failed");
  await vi.advanceTimersByTimeAsync(0);
  FakeConnection.made[1]?.setState("disconnected");
  await vi.advanceTimersByTimeAsync(5_100);
  expect(asked).toEqual(["PATCH /whep/1", "POST /whep", "PATCH /whep/2", "POST /whep"]);
  expect(states).toEqual(["restarting", "reconnecting", "open", "restarting", "reconnecting", "open"]);
  first.setState("disconnected"); // no longer the current one
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toHaveLength(4);
});

test("a server that cannot restart is told to delete the connection", async () => {
  const { asked, first } = await watching({ PATCH: [() => new Response("{}", { status: 405 })] });
  first.setState("failed");
  await vi.advanceTimersByTimeAsync(0);
  expect(asked).toEqual(["PATCH /whep/1", "DELETE /whep/1", "POST /whep"]);
});

test("pauses between attempts grow while the network is away", async () => {
  const { asked, states, first } = await watching({ POST: [away, away, away] });
  first.setState("failed");
  const posts: number[] = [];
  for (let ms = 0; ms < 6_000; ms += 100) {
    await vi.advanceTimersByTimeAsync(100);
    while (posts.length < asked.filter((one) => one === "POST /whep").length) posts.push(ms);
  }
  const pauses = posts.slice(1).map((ms, i) => ms - (posts[i] as number));
  expect(pauses).toHaveLength(3);
  pauses.forEach((pause, i) => expect(Math.abs(pause - 500 * 2 ** i)).toBeLessThanOrEqual(125 * 2 ** i + 100));
  expect(states).toEqual(["restarting", "reconnecting", "open"]);
});

test("a busy server is retried after its Retry-After within one attempt", async () => {
  const { attempts, states, first } = await watching({ POST: [busy, busy] });
  first.setState("failed");
  await vi.advanceTimersByTimeAsync(3_900);
  expect(states.at(-1)).toBe("reconnecting");
  await vi.advanceTimersByTimeAsync(200);
  expect([states.at(-1), attempts.length]).toEqual(["open", 1]);
});

test("reconnecting ends after six reported attempts, with the error of the last", async () => {
  const { peer, attempts, states, first } = await watching();
  FakeConnection.areBlocked = true;
  first.setState("failed");
  await vi.advanceTimersByTimeAsync(10_000);
  expect(states).toEqual(["restarting", "reconnecting"]);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(attempts.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(attempts[0]?.cause).toBeInstanceOf(GoneError);
  expect(attempts[5]?.cause).toBeInstanceOf(PeerError);
  expect(await peer.closed).toMatchObject({ name: "PeerError", message: expect.stringContaining("is UDP blocked?") });
  expect(states.at(-1)).toBe("closed");
  expect(FakeConnection.made).toHaveLength(7);
  for (const { close } of FakeConnection.made) expect(close).toHaveBeenCalled();
});

test("a session that has ended is not retried", async () => {
  const { peer, asked, first } = await watching({ POST: [forgotten] });
  first.setState("failed");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toEqual(["PATCH /whep/1", "POST /whep"]);
  const error = await peer.closed;
  expect(error?.message).toBe("the connection was lost: no such connection");
  expect(error?.cause).toBeInstanceOf(GoneError);
});

test("a signal ends reconnecting without an error", async () => {
  const stop = new AbortController();
  const { peer, asked, states, first } = await watching({ POST: Array.from({ length: 9 }, () => away) }, stop.signal);
  first.setState("failed");
  await vi.advanceTimersByTimeAsync(2_000);
  const before = asked.length;
  expect(before).toBeGreaterThan(2);
  stop.abort();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toHaveLength(before);
  expect(states.at(-1)).toBe("closed");
  expect(await peer.closed).toBeUndefined();
});

test("a connection that is negotiated after the peer was closed is deleted", async () => {
  let answer!: (response: Response) => void;
  const slow = () => new Promise<Response>((resolve) => (answer = resolve));
  const { peer, asked, states, first } = await watching({ POST: [slow] });
  first.setState("failed");
  await vi.advanceTimersByTimeAsync(0);
  await peer.close();
  answer(new Response(ANSWER, { status: 201, headers: { Location: "/whep/7" } }));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toEqual(["PATCH /whep/1", "POST /whep", "DELETE /whep/7"]);
  expect(states).toEqual(["restarting", "reconnecting", "closed"]);
  expect(FakeConnection.made[1]?.close).toHaveBeenCalled();
});

test("a publisher sends the same tracks again when the server has dropped the old ones", async () => {
  const script: Script = {};
  const { asked, fetching } = server(script);
  const track = { kind: "video" };
  await publish("https://host.example/whip", new FakeMedia([track]) as unknown as MediaStream, { fetch: fetching });
  script.POST = [() => new Response("{}", { status: 409, headers: { "Retry-After": "1" } })];
  FakeConnection.made[0]?.setState("failed");
  await vi.advanceTimersByTimeAsync(1_100);
  expect(asked).toEqual(["POST /whip", "PATCH /whep/1", "POST /whip", "POST /whip"]);
  expect(FakeConnection.made[1]?.addTransceiver).toHaveBeenCalledWith(track, expect.objectContaining({ direction: "sendonly" }));
  expect(FakeConnection.made[1]?.connectionState).toBe("connected");
});

test("reconnects: 0 closes the peer at the first loss", async () => {
  const { asked, fetching } = server();
  const peer = await watch(URL_OF, { fetch: fetching, reconnects: 0 });
  FakeConnection.made[0]?.setState("failed");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toEqual(["POST /whep", "PATCH /whep/1"]);
  expect(await peer.closed).toBeInstanceOf(PeerError);
});
