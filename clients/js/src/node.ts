/** The entry point for Node: that for browsers, and a WebSocket for Node before version 22, which has none. */

import { openNodeSocket } from "./node-socket.js";
import { setFallbackSocket } from "./socket.js";

setFallbackSocket(openNodeSocket);

export * from "./index.js";
