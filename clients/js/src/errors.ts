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
export class MyTalkError extends Error {
  override readonly name: string = "MyTalkError";
}

/** The server refused a request. `code` is its machine-readable reason. */
export class HttpError extends MyTalkError {
  override readonly name: string = "HttpError";

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    /** Seconds after which to retry; undefined where the server names none. */
    readonly retryAfter?: number,
  ) {
    super(message);
  }

  /** Reads the error that a response carries. */
  static async from(response: Response): Promise<HttpError> {
    const text = await response.text().catch(() => "");
    const { code, message } = reason(text);
    const seconds = Number(response.headers.get("Retry-After") ?? NaN);
    const kind = KINDS[response.status] ?? HttpError;
    return new kind(
      response.status,
      code ?? "failed",
      message ?? `the server answered ${response.status} ${response.statusText}`,
      Number.isFinite(seconds) ? seconds : undefined,
    );
  }
}

export class NotAuthorizedError extends HttpError {
  override readonly name: string = "NotAuthorizedError";
}

export class ForbiddenError extends HttpError {
  override readonly name: string = "ForbiddenError";
}

export class GoneError extends HttpError {
  override readonly name: string = "GoneError";
}

export class BusyError extends HttpError {
  override readonly name: string = "BusyError";
}

const KINDS: Record<number, typeof HttpError> = {
  401: NotAuthorizedError,
  403: ForbiddenError,
  404: GoneError,
  409: BusyError,
  410: GoneError,
  429: BusyError,
  503: BusyError,
};

/** No answer came: the server is down, the network is away, or the server allows no page of this origin. */
export class NetworkError extends MyTalkError {
  override readonly name: string = "NetworkError";
}

/** The server could not do what a message asked, or something of the session failed. */
export class ServerError extends MyTalkError {
  override readonly name: string = "ServerError";

  constructor(
    readonly code: string,
    message: string,
    readonly fatal: boolean,
    readonly event_id?: string,
  ) {
    super(message);
  }
}

/** A message that this version does not understand. `unknown_type` is to be ignored. */
export class ProtocolError extends MyTalkError {
  override readonly name: string = "ProtocolError";

  constructor(
    readonly code: "bad_json" | "bad_message" | "unknown_type" | "bad_packet",
    message: string,
  ) {
    super(message);
  }
}

/** The stream is over and cannot be resumed. */
export class DisconnectedError extends MyTalkError {
  override readonly name: string = "DisconnectedError";

  constructor(
    message: string,
    /** As in PROTOCOL.md; 1006 where the connection broke. */
    readonly closeCode: number,
  ) {
    super(message);
  }
}

export class PeerError extends MyTalkError {
  override readonly name: string = "PeerError";
}

export class UnsupportedError extends MyTalkError {
  override readonly name: string = "UnsupportedError";
}

function reason(text: string): { code?: string; message?: string } {
  try {
    const { error } = JSON.parse(text) as { error?: { code?: string; message?: string } };
    return error ?? {};
  } catch {
    return {};
  }
}
