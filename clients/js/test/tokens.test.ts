/** Tokens are good for a while only: whoever has something open gets others in time. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Session, type SessionDescription } from "../src/session.js";
import type { OpenSocket } from "../src/socket.js";

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

/** A session whose stream never opens, so that each `open` is one look at the token that is good now. */
function opened(...answers: (() => Response | Promise<Response>)[]) {
  const fetching = vi.fn<typeof fetch>(async () => await (answers.shift() ?? (() => new Response("{}")))());
  const session = new Session(description, "https://host.example", fetching);
  const tokens: string[] = [];
  const socket: OpenSocket = (_url, token) => {
    tokens.push(token);
    return Promise.reject(new Error("no line"));
  };
  const open = async () => void (await session.open({ socket }).catch(() => undefined));
  return { session, fetching, tokens, open };
}

const given = (token: string) => () => new Response(JSON.stringify({ token, right: "own", expires_in: 3600 }), { status: 201 });

test("a token is renewed at half of its life, again and again", async () => {
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

test("a server that is away is asked again soon", async () => {
  const away = () => Promise.reject(new TypeError("fetch failed"));
  const { session, open } = opened(away, () => new Response("{}", { status: 503 }), given("second"));
  await open();
  await vi.advanceTimersByTimeAsync(HALF_MS + 10_000);
  expect(session.token).toBe("second");
});

test("when the session has ended nothing is asked any more", async () => {
  const { fetching, open } = opened(() => new Response("{}", { status: 404 }));
  await open();
  await vi.advanceTimersByTimeAsync(10 * HALF_MS);
  expect(fetching).toHaveBeenCalledOnce();
});

test("who ends it asks no more either, and who never opened anything never asked", async () => {
  const { session, fetching, open } = opened();
  await vi.advanceTimersByTimeAsync(2 * HALF_MS);
  expect(fetching).not.toHaveBeenCalled();
  await open();
  await session.end();
  await vi.advanceTimersByTimeAsync(2 * HALF_MS);
  expect(fetching.mock.calls.map(([, request]) => request?.method)).toEqual(["DELETE"]);
});
