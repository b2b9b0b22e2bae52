/** A connection that the server has forgotten: another is made in its place, a few times, and then it is over. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { GoneError, PeerError } from "../src/errors.js";
import type { Reconnecting, Way } from "../src/peer.js";
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

/** A server that takes offers and has no restart, but for what `script` says: answers of a method, in turn. */
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

/** A viewer, and what the server answers it from then on. */
async function watching(later: Script = {}, signal?: AbortSignal) {
  const script: Script = {};
  const { asked, fetching } = server(script);
  const peer = await watch(URL_OF, { fetch: fetching, ...(signal && { signal }) });
  Object.assign(script, later);
  asked.length = 0;
  const ways: Way[] = [];
  const tries: Reconnecting[] = [];
  peer.on("connection", (way) => ways.push(way));
  peer.on("reconnecting", (one) => tries.push(one));
  return { peer, asked, ways, tries, first: FakeConnection.made[0] as FakeConnection };
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

test.each([404, 410])("a server that answers a restart with %i is offered another connection, and media go on", async (status) => {
  const gone = () => new Response("{}", { status });
  const { peer, asked, ways, tries, first } = await watching({ PATCH: [gone] });
  first.become("failed");
  await vi.advanceTimersByTimeAsync(0);
  expect(asked).toEqual(["PATCH /whep/1", "POST /whep"]);
  expect(ways).toEqual(["restarting", "reconnecting", "open"]);
  expect(tries).toMatchObject([{ attempt: 1, of: 6, cause: { name: "GoneError", status } }]);
  const [, second] = FakeConnection.made;
  expect(peer.connection).toBe(second);
  expect(peer.media.getTracks()).toMatchObject([{ kind: "video", of: second }]);
  expect(first.close).toHaveBeenCalled();
  await peer.close();
  expect(asked.slice(2)).toEqual(["DELETE /whep/2"]);
  expect(await peer.closed).toBeUndefined();
});

test("a connection that is made anew is mended as the first was", async () => {
  const { asked, ways, first } = await watching();
  first.become("failed");
  await vi.advanceTimersByTimeAsync(0);
  FakeConnection.made[1]?.become("disconnected");
  await vi.advanceTimersByTimeAsync(5_100);
  expect(asked).toEqual(["PATCH /whep/1", "POST /whep", "PATCH /whep/2", "POST /whep"]);
  expect(ways).toEqual(["restarting", "reconnecting", "open", "restarting", "reconnecting", "open"]);
  first.become("disconnected"); // nobody looks at it any more
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toHaveLength(4);
});

test("a server that cannot restart is told of the end of what it still has", async () => {
  const { asked, first } = await watching({ PATCH: [() => new Response("{}", { status: 405 })] });
  first.become("failed");
  await vi.advanceTimersByTimeAsync(0);
  expect(asked).toEqual(["PATCH /whep/1", "DELETE /whep/1", "POST /whep"]);
});

test("while the network is away it is tried again, after longer and longer pauses", async () => {
  const { asked, ways, first } = await watching({ POST: [away, away, away] });
  first.become("failed");
  const posts: number[] = [];
  for (let ms = 0; ms < 6_000; ms += 100) {
    await vi.advanceTimersByTimeAsync(100);
    while (posts.length < asked.filter((one) => one === "POST /whep").length) posts.push(ms);
  }
  const pauses = posts.slice(1).map((ms, i) => ms - (posts[i] as number));
  expect(pauses).toHaveLength(3);
  pauses.forEach((pause, i) => expect(Math.abs(pause - 500 * 2 ** i)).toBeLessThanOrEqual(125 * 2 ** i + 100));
  expect(ways).toEqual(["restarting", "reconnecting", "open"]);
});

test("a server that is busy is waited for as long as it says, within one try", async () => {
  const { tries, ways, first } = await watching({ POST: [busy, busy] });
  first.become("failed");
  await vi.advanceTimersByTimeAsync(3_900);
  expect(ways.at(-1)).toBe("reconnecting");
  await vi.advanceTimersByTimeAsync(200);
  expect([ways.at(-1), tries.length]).toEqual(["open", 1]);
});

test("it is given up after six tries, of which each is told, with the last one's reason", async () => {
  const { peer, tries, ways, first } = await watching();
  FakeConnection.areBlocked = true;
  first.become("failed");
  await vi.advanceTimersByTimeAsync(10_000);
  expect(ways).toEqual(["restarting", "reconnecting"]);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(tries.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(tries[0]?.cause).toBeInstanceOf(GoneError);
  expect(tries[5]?.cause).toBeInstanceOf(PeerError);
  expect(await peer.closed).toMatchObject({ name: "PeerError", message: expect.stringContaining("is UDP blocked?") });
  expect(ways.at(-1)).toBe("closed");
  expect(FakeConnection.made).toHaveLength(7);
  for (const { close } of FakeConnection.made) expect(close).toHaveBeenCalled();
});

test("a session that has ended is not asked for twice", async () => {
  const { peer, asked, first } = await watching({ POST: [forgotten] });
  first.become("failed");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toEqual(["PATCH /whep/1", "POST /whep"]);
  const error = await peer.closed;
  expect(error?.message).toBe("the connection was lost: no such connection");
  expect(error?.cause).toBeInstanceOf(GoneError);
});

test("a signal ends the trying, and nobody is to blame", async () => {
  const stop = new AbortController();
  const { peer, asked, ways, first } = await watching({ POST: Array.from({ length: 9 }, () => away) }, stop.signal);
  first.become("failed");
  await vi.advanceTimersByTimeAsync(2_000);
  const before = asked.length;
  expect(before).toBeGreaterThan(2);
  stop.abort();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toHaveLength(before);
  expect(ways.at(-1)).toBe("closed");
  expect(await peer.closed).toBeUndefined();
});

test("a connection that is agreed on after all was closed is hung up", async () => {
  let answer!: (response: Response) => void;
  const slow = () => new Promise<Response>((resolve) => (answer = resolve));
  const { peer, asked, ways, first } = await watching({ POST: [slow] });
  first.become("failed");
  await vi.advanceTimersByTimeAsync(0);
  await peer.close();
  answer(new Response(ANSWER, { status: 201, headers: { Location: "/whep/7" } }));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toEqual(["PATCH /whep/1", "POST /whep", "DELETE /whep/7"]);
  expect(ways).toEqual(["restarting", "reconnecting", "closed"]);
  expect(FakeConnection.made[1]?.close).toHaveBeenCalled();
});

test("a publisher sends the same tracks again, when the server has let go of the old ones", async () => {
  const script: Script = {};
  const { asked, fetching } = server(script);
  const track = { kind: "video" };
  await publish("https://host.example/whip", new FakeMedia([track]) as unknown as MediaStream, { fetch: fetching });
  script.POST = [() => new Response("{}", { status: 409, headers: { "Retry-After": "1" } })];
  FakeConnection.made[0]?.become("failed");
  await vi.advanceTimersByTimeAsync(1_100);
  expect(asked).toEqual(["POST /whip", "PATCH /whep/1", "POST /whip", "POST /whip"]);
  expect(FakeConnection.made[1]?.addTransceiver).toHaveBeenCalledWith(track, expect.objectContaining({ direction: "sendonly" }));
  expect(FakeConnection.made[1]?.connectionState).toBe("connected");
});

test("whoever wants to see to it alone asks for no other connection", async () => {
  const { asked, fetching } = server();
  const peer = await watch(URL_OF, { fetch: fetching, reconnects: 0 });
  FakeConnection.made[0]?.become("failed");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toEqual(["POST /whep", "PATCH /whep/1"]);
  expect(await peer.closed).toBeInstanceOf(PeerError);
});
