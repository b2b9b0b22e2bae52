/** Tests ICE restarts by PATCH (RFC 9725, 4.3.3) after a connection was interrupted. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { PeerState } from "../src/peer.js";
import { restarted } from "../src/signalling.js";
import { watch } from "../src/whep.js";
import { publish } from "../src/whip.js";
import { FakeConnection, FakeMedia } from "./fake-connection.js";

const ANSWER = [
  "v=0",
  "a=group:BUNDLE 0 1",
  "m=audio 9 UDP/TLS/RTP/SAVPF 96",
  "a=mid:0",
  "a=ice-ufrag:old1",
  "a=ice-pwd:oldoldoldoldoldoldoldo",
  "a=candidate:1 1 udp 1 192.0.2.9 4000 typ host",
  "a=end-of-candidates",
  "a=setup:active",
  "m=video 9 UDP/TLS/RTP/SAVPF 97",
  "a=mid:1",
  "a=ice-ufrag:old1",
  "a=ice-pwd:oldoldoldoldoldoldoldo",
  "",
].join("\r\n");

const THEIRS = [
  "a=ice-ufrag:new1",
  "a=ice-pwd:newnewnewnewnewnewnewn",
  "m=audio 9 UDP/TLS/RTP/SAVPF 0",
  "a=mid:0",
  "a=candidate:2 1 udp 1 192.0.2.9 5000 typ host",
  "a=end-of-candidates",
  "",
].join("\r\n");

const RENEWED = [
  "v=0",
  "a=group:BUNDLE 0 1",
  "m=audio 9 UDP/TLS/RTP/SAVPF 96",
  "a=mid:0",
  "a=ice-ufrag:new1",
  "a=ice-pwd:newnewnewnewnewnewnewn",
  "a=setup:active",
  "a=candidate:2 1 udp 1 192.0.2.9 5000 typ host",
  "a=end-of-candidates",
  "m=video 9 UDP/TLS/RTP/SAVPF 97",
  "a=mid:1",
  "a=ice-ufrag:new1",
  "a=ice-pwd:newnewnewnewnewnewnewn",
  "",
].join("\r\n");

const made = () =>
  new Response(ANSWER, { status: 201, headers: { Location: "https://host.example/whep/1", ETag: '"1"' } });
const renewed = () => new Response(THEIRS, { status: 200, headers: { ETag: '"2"' } });

beforeEach(() => {
  FakeConnection.made = [];
  vi.stubGlobal("RTCPeerConnection", FakeConnection);
  vi.stubGlobal("MediaStream", FakeMedia);
  vi.useFakeTimers();
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** Connects a viewer whose requests are answered with `answers` in turn. */
async function connected(...answers: (() => Response | Promise<Response>)[]) {
  const fetching = vi.fn<typeof fetch>(async () => await (answers.shift() ?? (() => new Response("{}")))());
  const peer = await watch("https://host.example/whep", { token: "t", fetch: fetching, reconnects: 0 });
  const [connection] = FakeConnection.made as [FakeConnection];
  const states: PeerState[] = [];
  peer.on("connection", (state) => states.push(state));
  return { peer, connection, fetching, states };
}

/** The PATCH requests. */
const patches = (fetching: ReturnType<typeof vi.fn<typeof fetch>>) =>
  fetching.mock.calls.flatMap(([url, request]) => (request?.method === "PATCH" ? [{ url: String(url), ...request }] : []));

test("the previous answer takes the server's new credentials and candidates", () => {
  expect(restarted(ANSWER, THEIRS)).toBe(RENEWED);
  expect(restarted(ANSWER.replaceAll("\r\n", "\n"), THEIRS.replaceAll("\r\n", "\n"))).toBe(RENEWED);
  expect(() => restarted(ANSWER, "a=ice-ufrag:new1\r\n")).toThrow("no ICE credentials");
});

test("ICE is restarted after 5 s of disconnection, and media go on", async () => {
  const { connection, fetching, states, peer } = await connected(made, renewed);
  connection.setState("disconnected");
  await vi.advanceTimersByTimeAsync(4_900);
  expect(patches(fetching)).toEqual([]);
  await vi.advanceTimersByTimeAsync(200);
  const [patch] = patches(fetching);
  expect(patch).toMatchObject({
    url: "https://host.example/whep/1",
    headers: { Authorization: "Bearer t", "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*" },
  });
  expect((patch?.body as string).split("\r\n")).toEqual([
    "a=ice-ufrag:mine1",
    `a=ice-pwd:${"p".repeat(22)}`,
    "m=audio 9 UDP/TLS/RTP/SAVPF 0",
    "a=mid:0",
    "a=candidate:7 1 udp 1 192.0.2.1 6000 typ host",
    "",
  ]);
  expect(connection.remoteDescription).toEqual({ type: "answer", sdp: RENEWED });
  expect(states).toEqual(["restarting", "open"]);
  connection.onicecandidate?.({ candidate: null }); // what follows belongs to the new ICE session
  expect(patches(fetching)[1]?.headers).toMatchObject({ "If-Match": '"2"' });
  await peer.close();
  expect(states).toEqual(["restarting", "open", "closed"]);
});

test("a connection that comes back by itself is left alone", async () => {
  const { connection, fetching, states } = await connected(made);
  connection.setState("disconnected");
  await vi.advanceTimersByTimeAsync(3_000);
  connection.setState("connected");
  await vi.advanceTimersByTimeAsync(60_000);
  expect([patches(fetching), states]).toEqual([[], []]);
});

test("a failed connection is restarted at once", async () => {
  const { connection, fetching, states } = await connected(made, renewed);
  connection.setState("failed");
  await vi.advanceTimersByTimeAsync(0);
  expect(patches(fetching)).toHaveLength(1);
  expect(states).toEqual(["restarting", "open"]);
});

test("a restart that fails is rolled back and retried", async () => {
  const away = () => Promise.reject(new TypeError("fetch failed"));
  const busy = () => new Response("{}", { status: 503 });
  const { connection, fetching, states } = await connected(made, away, busy, renewed);
  connection.setState("failed");
  await vi.advanceTimersByTimeAsync(5_000);
  expect(patches(fetching).map(({ body }) => (body as string).split("\r\n")[0])).toEqual([
    "a=ice-ufrag:mine1",
    "a=ice-ufrag:mine2",
    "a=ice-ufrag:mine3",
  ]);
  expect(connection.rollbacks).toBe(2);
  expect(states).toEqual(["restarting", "open"]);
});

test("restarting ends after 25 s", async () => {
  const away = () => Promise.reject(new TypeError("fetch failed"));
  const { connection, peer, states } = await connected(made, ...Array.from({ length: 60 }, () => away));
  connection.setState("failed");
  await vi.advanceTimersByTimeAsync(20_000);
  expect(states).toEqual(["restarting"]);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await peer.closed).toMatchObject({ name: "PeerError", message: "the connection was lost" });
  expect(states).toEqual(["restarting", "closed"]);
  expect(connection.close).toHaveBeenCalled();
});

test.each([
  [404, "{}"],
  [405, "{}"],
  [501, "{}"],
  [204, null],
])("a server that answers %i cannot restart: the peer closes at once", async (status, body) => {
  const { connection, fetching, peer } = await connected(made, () => new Response(body, { status }));
  connection.setState("failed");
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await peer.closed).toMatchObject({ name: "PeerError" });
  expect(patches(fetching)).toHaveLength(1);
});

test("a peer that is closed during a restart stays closed", async () => {
  let answer!: (response: Response) => void;
  const slow = () => new Promise<Response>((resolve) => (answer = resolve));
  const { connection, fetching, peer, states } = await connected(made, slow);
  connection.setState("failed");
  await vi.advanceTimersByTimeAsync(100);
  await peer.close();
  answer(renewed());
  await vi.advanceTimersByTimeAsync(30_000);
  expect(await peer.closed).toBeUndefined();
  expect(states).toEqual(["restarting", "closed"]);
  expect(patches(fetching)).toHaveLength(1);
});

test("a publisher restarts as well", async () => {
  const answers = [made(), renewed()];
  const fetching = vi.fn<typeof fetch>(() => Promise.resolve(answers.shift() ?? new Response("{}")));
  const media = new FakeMedia([{ kind: "audio" }]) as unknown as MediaStream;
  await publish("https://host.example/whip", media, { fetch: fetching });
  FakeConnection.made[0]?.setState("failed");
  await vi.advanceTimersByTimeAsync(0);
  expect(patches(fetching)[0]?.headers).toMatchObject({ "If-Match": "*" });
  expect(FakeConnection.made[0]?.connectionState).toBe("connected");
});
