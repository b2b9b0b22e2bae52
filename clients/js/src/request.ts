/** HTTP requests, with the errors of this package. */

import { HttpError, NetworkError } from "./errors.js";

/** Sends a request. Throws `HttpError` for an error answer, `NetworkError` where none comes, or the signal's reason. */
export async function request(fetching: typeof fetch, url: string | URL, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetching(url, init);
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause; // `fetch` throws it for every failure of the network
    throw new NetworkError(`${new URL(url).host} cannot be reached (${cause.message})`, { cause });
  }
  if (!response.ok) throw await HttpError.from(response);
  return response;
}
