/** Tests sessions and signalling over HTTP, against prepared answers. */

import { readFileSync } from "node:fs";
import { expect, test, vi } from "vitest";
import { BusyError, ForbiddenError, GoneError, HttpError, NotAuthorizedError } from "../src/errors.js";
import { Client, Session, type SessionDescription } from "../src/session.js";
import { fragment, iceServersOf, Resource } from "../src/signalling.js";

interface Row {
  name: string;
  request: object;
  status: number;
  response: object;
}

const [made, refused] = JSON.parse(
  readFileSync(new URL("../../fixtures/http.json", import.meta.url), "utf8"),
) as [Row, Row];

const answer = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  new Response(body === null ? null : JSON.stringify(body), { status, headers });

/** A `fetch` that gives the answers in turn. */
function served(...answers: Response[]) {
  return vi.fn<typeof fetch>(() => Promise.resolve(answers.shift() ?? answer(500, null)));
}

const description = made.response as SessionDescription;

test("a session is created as in the fixture, with the API key", async () => {
  const fetching = served(answer(made.status, made.response));
  const client = new Client("https://host.example/anything", { apiKey: "key", fetch: fetching });
  const session = await client.create({ source: "portrait", speech: "stream" });
  const [url, request] = fetching.mock.calls[0] as [URL, RequestInit];
  expect(String(url)).toBe("https://host.example/v1/sessions");
  expect(JSON.parse(request.body as string)).toEqual(made.request);
  expect(request.headers).toMatchObject({ Authorization: "Bearer key", "Content-Type": "application/json" });
  expect(String(session.url("stream"))).toBe("https://host.example/v1/sessions/%3Cid%3E/stream");
  expect(session.disclosure).toBe("<text>");
});

test("a picture is uploaded with its consent", async () => {
  const fetching = served(answer(made.status, made.response));
  const consent = { who: "Jane Doe", when: "2026-11-25", purpose: "a greeting" };
  const picture = new Blob([Uint8Array.of(1, 2, 3)], { type: "image/png" });
  await new Client("https://host.example", { fetch: fetching }).createWith({ picture, consent }, { speech: "stream" });
  const { body, headers } = fetching.mock.calls[0]?.[1] as RequestInit & { body: FormData };
  expect(JSON.parse(body.get("session") as string)).toEqual({ source: "portrait", speech: "stream", consent });
  expect((body.get("portrait") as Blob).size).toBe(3);
  expect(headers).toEqual({}); // the boundary is fetch's to say
});

test("an image is uploaded to be behind the person", async () => {
  const fetching = served(answer(made.status, made.response));
  const [picture, background] = [new Blob([Uint8Array.of(1, 2, 3)]), new Blob([Uint8Array.of(4, 5)])];
  await new Client("https://host.example", { fetch: fetching }).createWith({ picture, background });
  const { body } = fetching.mock.calls[0]?.[1] as RequestInit & { body: FormData };
  expect(JSON.parse(body.get("session") as string)).toEqual({ source: "portrait", background: "image" });
  expect((body.get("background") as Blob).size).toBe(2);
});

test("another face is uploaded, or named", async () => {
  const fetching = served(answer(made.status, made.response), answer(202, {}), answer(202, {}));
  const session = await new Client("https://host.example", { fetch: fetching }).create();
  const consent = { who: "Jane Doe", when: "2026-11-25", purpose: "a greeting" };
  await session.changeFace({ picture: new Blob([Uint8Array.of(1, 2, 3)]), consent });
  await session.changeFace({ portrait: "idle.mp4" });
  const [url, upload] = fetching.mock.calls[1] as [URL, RequestInit & { body: FormData }];
  expect(String(url)).toBe("https://host.example/v1/sessions/%3Cid%3E/face");
  expect(JSON.parse(upload.body.get("session") as string)).toEqual({ consent });
  expect((upload.body.get("portrait") as Blob).size).toBe(3);
  expect(upload.headers).toEqual({ Authorization: "Bearer <token>" });
  const named = fetching.mock.calls[2]?.[1] as RequestInit;
  expect(JSON.parse(named.body as string)).toEqual({ portrait: "idle.mp4" });
  expect(named.headers).toMatchObject({ "Content-Type": "application/json" });
});

test("a refusal is an error with its code", async () => {
  const client = new Client("https://host.example", { fetch: served(answer(refused.status, refused.response)) });
  await expect(client.create()).rejects.toMatchObject({ name: "HttpError", status: 400, code: "bad_request" });
});

test.each([
  [401, NotAuthorizedError],
  [403, ForbiddenError],
  [404, GoneError],
  [409, BusyError],
  [429, BusyError],
  [503, BusyError],
  [418, HttpError],
])("status %i has its own error class", async (status, kind) => {
  const response = answer(status, { error: { code: "c", message: "m" } }, { "Retry-After": "2" });
  const error = await HttpError.from(response);
  expect(error).toBeInstanceOf(kind);
  expect(error).toMatchObject({ status, code: "c", message: "m", retryAfter: 2, name: kind.name });
});

test("an error answer without JSON is still an HttpError", async () => {
  const error = await HttpError.from(new Response("<h1>Bad gateway</h1>", { status: 502, statusText: "Bad Gateway" }));
  expect(error).toMatchObject({ code: "failed", message: "the server answered 502 Bad Gateway" });
  expect(error.retryAfter).toBeUndefined();
});

test("a server that cannot be reached is an error of the package", async () => {
  const client = new Client("http://127.0.0.1:9");
  await expect(client.create()).rejects.toMatchObject({ name: "NetworkError", cause: expect.any(TypeError) });
  const stop = new AbortController();
  stop.abort(new Error("enough"));
  await expect(client.create({}, stop.signal)).rejects.toThrow("enough");
});

const busy = (after?: string) =>
  answer(503, { error: { code: "busy", message: "no room" } }, after === undefined ? {} : { "Retry-After": after });

test("a busy server is asked again when it said to, and the program is told", async () => {
  const fetching = served(busy("0"), busy("0"), answer(made.status, made.response));
  const told: [string, number][] = [];
  const onBusy = (refusal: BusyError, waitMs: number) => void told.push([refusal.message, waitMs]);
  const session = await new Client("https://host.example", { fetch: fetching, onBusy }).create();
  expect(session.id).toBe(description.id);
  expect(told).toEqual([["no room", 200], ["no room", 200]]);
});

test.each([
  ["it says longer than the patience lasts", { patienceMs: 500 }, "1"],
  ["no patience is wanted", { patienceMs: 0 }, "0"],
  ["it does not say when", {}, undefined],
])("a busy server is asked once where %s", async (_, options, after) => {
  const fetching = served(busy(after), answer(made.status, made.response));
  const client = new Client("https://host.example", { fetch: fetching, ...options });
  await expect(client.create()).rejects.toMatchObject({ name: "BusyError", message: "no room" });
  expect(fetching).toHaveBeenCalledTimes(1);
});

test("what the program throws over a busy server ends the waiting", async () => {
  const onBusy = () => {
    throw new Error("enough");
  };
  const client = new Client("https://host.example", { fetch: served(busy("1")), onBusy });
  await expect(client.create()).rejects.toThrow("enough");
});

test("aborting ends a session that is made all the same", async () => {
  let give!: (response: Response) => void;
  const ended = answer(200, {});
  const fetching = vi
    .fn<typeof fetch>()
    .mockReturnValueOnce(new Promise((resolve) => (give = resolve)))
    .mockResolvedValueOnce(ended);
  const stop = new AbortController();
  const creating = new Client("https://host.example", { fetch: fetching }).create({}, stop.signal);
  stop.abort(new Error("enough"));
  await expect(creating).rejects.toThrow("enough");
  give(answer(made.status, made.response));
  await vi.waitFor(() => expect(fetching).toHaveBeenCalledTimes(2));
  expect(fetching.mock.calls[1]?.[1]).toMatchObject({ method: "DELETE" });
});

test("ending a session that has ended is no error", async () => {
  const session = new Session(description, "https://host.example", served(answer(404, {}), answer(403, {})));
  await session.end();
  await expect(session.end()).rejects.toBeInstanceOf(ForbiddenError);
});

test("a route that an older server lacks is named", () => {
  const session = new Session({ ...description, urls: {} }, "https://host.example");
  expect(() => session.url("whep")).toThrow("whep");
});

test("ICE servers are read from the Link header", () => {
  const link =
    '<stun:stun.example.net>; rel="ice-server", <https://x.example>; rel="next", ' +
    '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="alice"; credential="s3cret"; credential-type="password"';
  expect(iceServersOf(link)).toEqual([
    { urls: "stun:stun.example.net" },
    { urls: "turn:turn.example.net?transport=udp", username: "alice", credential: "s3cret" },
  ]);
  expect(iceServersOf(null)).toEqual([]);
});

const OFFER = "v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 X 0\r\n";
const CANDIDATE = { candidate: "candidate:1 1 udp 1 192.0.2.1 5000 typ host", sdpMid: "0" };

test("candidates are written as a fragment of SDP", () => {
  expect(fragment(OFFER, [CANDIDATE, { candidate: "", sdpMid: "0" }, null]).split("\r\n")).toEqual([
    "a=ice-ufrag:abcd",
    "a=ice-pwd:0123456789012345678901",
    "m=audio 9 UDP/TLS/RTP/SAVPF 0",
    "a=mid:0",
    "a=candidate:1 1 udp 1 192.0.2.1 5000 typ host",
    "a=end-of-candidates",
    "",
  ]);
});

/** A fake connection for an offer. */
function connection() {
  return {
    iceGatheringState: "complete",
    localDescription: { sdp: OFFER },
    onicecandidate: null as ((event: { candidate: object | null }) => void) | null,
    setLocalDescription: vi.fn(),
    setRemoteDescription: vi.fn(),
    setConfiguration: vi.fn(),
  };
}

const sdp = (headers: Record<string, string>) => new Response("v=0", { status: 201, headers });

test("an endpoint that is not live yet is retried, then gets candidates and a DELETE", async () => {
  const location = { Location: "/v1/sessions/x/whep/1", ETag: '"1"', Link: '<stun:s.example>; rel="ice-server"' };
  const fetching = served(answer(409, {}, { "Retry-After": "0" }), sdp(location), answer(200, {}), answer(200, {}));
  const peer = connection();
  const options = { token: "t", fetch: fetching };
  const url = new URL("https://host.example/v1/sessions/x/whep");
  const resource = await Resource.post(peer as unknown as RTCPeerConnection, url, options);
  expect(peer.setRemoteDescription).toHaveBeenCalledWith({ type: "answer", sdp: "v=0" });
  expect(peer.setConfiguration).toHaveBeenCalledWith({ iceServers: [{ urls: "stun:s.example" }] });
  peer.onicecandidate?.({ candidate: CANDIDATE });
  await resource.end();
  const asked = fetching.mock.calls.map(([to, request]) => [request?.method, String(to), request?.headers]);
  const at = "https://host.example/v1/sessions/x/whep";
  const authorization = { Authorization: "Bearer t" };
  const fragments = { ...authorization, "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": '"1"' };
  expect(asked).toEqual([
    ["POST", at, { ...authorization, "Content-Type": "application/sdp" }],
    ["POST", at, { ...authorization, "Content-Type": "application/sdp" }],
    ["PATCH", `${at}/1`, fragments],
    ["DELETE", `${at}/1`, authorization],
  ]);
});

test("an endpoint that stays busy is an error with its code", async () => {
  const options = { fetch: served(busy("60")) };
  const posted = Resource.post(connection() as unknown as RTCPeerConnection, new URL("https://host.example"), options);
  await expect(posted).rejects.toMatchObject({ name: "BusyError", code: "busy", retryAfter: 60 });
});
