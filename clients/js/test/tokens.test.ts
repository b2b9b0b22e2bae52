/** Tests the renewal of tokens. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Session, type SessionDescription } from "../src/session.js";
import type { OpenSocket } from "../src/socket-types.js";
import { watch } from "../src/whep.js";

const description: SessionDescription = {
  id: "x",
  state: "new",
  token: "first",
  expires_in: 3600,
  urls: { session: "/v1/sessions/x", stream: "/v1/sessions/x/stream", tokens: "/v1/sessions/x/tokens" },
  ice_servers: [],
  disclosure: "",
};
const HALF_MS = 1_800_000;

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A session whose stream never opens, so that each `open` records the current token. */
function opened(...answers: (() => Response | Promise<Response>)[]) {
  const fetching = vi.fn<typeof fetch>(async () => await (answers.shift() ?? (() => new Response("{}")))());
  const session = new Session(description, "https://host.example", fetching);
  const tokens: string[] = [];
  const socket: OpenSocket = (_url, token) => {
    tokens.push(token);
    return Promise.reject(new Error("no connection"));
  };
  const open = async () => void (await session.open({ socket }).catch(() => undefined));
  return { session, fetching, tokens, open };
}

const given = (token: string) => () => new Response(JSON.stringify({ token, right: "own", expires_in: 3600 }), { status: 201 });

test("a token is renewed at half of each lifetime", async () => {
  const { session, fetching, tokens, open } = opened(given("second"), given("third"));
  await open();
  await vi.advanceTimersByTimeAsync(HALF_MS - 1);
  expect(fetching).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  const [url, request] = fetching.mock.calls[0] as [URL, RequestInit];
  expect([url.pathname, request.method, request.body]).toEqual(["/v1/sessions/x/tokens", "POST", '{"right":"own"}']);
  expect(request.headers).toMatchObject({ Authorization: "Bearer first" });
  await open();
  await vi.advanceTimersByTimeAsync(HALF_MS);
  expect(fetching.mock.calls[1]?.[1]?.headers).toMatchObject({ Authorization: "Bearer second" });
  await open();
  expect(tokens).toEqual(["first", "second", "third"]);
  expect(session.token).toBe("third");
});

test("renewal is retried while the server is away", async () => {
  const away = () => Promise.reject(new TypeError("fetch failed"));
  const { session, open } = opened(away, () => new Response("{}", { status: 503 }), given("second"));
  await open();
  await vi.advanceTimersByTimeAsync(HALF_MS + 10_000);
  expect(session.token).toBe("second");
});

test("renewal ends with the session", async () => {
  const { fetching, open } = opened(() => new Response("{}", { status: 404 }));
  await open();
  await vi.advanceTimersByTimeAsync(10 * HALF_MS);
  expect(fetching).toHaveBeenCalledOnce();
});

test("renewal begins with the first opening and ends with end()", async () => {
  const { session, fetching, open } = opened();
  await vi.advanceTimersByTimeAsync(2 * HALF_MS);
  expect(fetching).not.toHaveBeenCalled();
  await open();
  await session.end();
  await vi.advanceTimersByTimeAsync(2 * HALF_MS);
  expect(fetching.mock.calls.map(([, request]) => request?.method)).toEqual(["DELETE"]);
});

class Connection extends EventTarget {
  connectionState = "connected";
  iceGatheringState = "complete";
  localDescription = { sdp: "v=0\r\n" };
  onicecandidate: unknown = null;
  addTransceiver = () => undefined;
  setLocalDescription = () => Promise.resolve();
  setRemoteDescription = () => Promise.resolve();
  setConfiguration = () => undefined;
  getReceivers = () => [];
  close = () => undefined;
}

test("a viewer's token is renewed as a view token, at once and in time, while it watches", async () => {
  vi.stubGlobal("MediaStream", class {
    getTracks = () => [];
  });
  vi.stubGlobal("RTCPeerConnection", Connection);
  const asked: [string, string | undefined, unknown][] = [];
  let count = 0;
  const fetching = vi.fn<typeof fetch>((url, request) => {
    const { pathname } = new URL(String(url));
    asked.push([pathname, new Headers(request?.headers).get("Authorization") ?? undefined, request?.body]);
    if (!pathname.endsWith("/tokens")) return Promise.resolve(new Response("v=0", { status: 201, headers: { Location: "whep/1" } }));
    count += 1;
    const answer = { token: `fresh-${count}`, right: "view", expires_in: 3600 };
    return Promise.resolve(new Response(JSON.stringify(answer), { status: 201 }));
  });
  const [base, renewals] = ["https://host.example/v1/sessions/x/", [] as string[]];
  const options = { token: "first", renew: `${base}tokens`, renewed: (token: string) => void renewals.push(token), fetch: fetching };
  const peer = await watch(`${base}whep`, options);
  await vi.advanceTimersByTimeAsync(HALF_MS + 1);
  const right = JSON.stringify({ right: "view" });
  expect(asked.filter(([path]) => path.endsWith("/tokens"))).toEqual([
    ["/v1/sessions/x/tokens", "Bearer first", right],
    ["/v1/sessions/x/tokens", "Bearer fresh-1", right],
  ]);
  expect(renewals).toEqual(["fresh-1", "fresh-2"]);
  await peer.close();
  expect(asked.at(-1)?.slice(0, 2)).toEqual(["/v1/sessions/x/whep/1", "Bearer fresh-2"]);
  await vi.advanceTimersByTimeAsync(10 * HALF_MS);
  expect(count).toBe(2);
  vi.unstubAllGlobals();
});
