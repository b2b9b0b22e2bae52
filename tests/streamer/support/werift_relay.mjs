// Watches one session by WHEP and publishes what it gets into another by WHIP, with werift, a WebRTC stack of its own.
//   node werift_relay.mjs FOLDER_WITH_WERIFT WHEP VIEW_TOKEN WHIP TOKEN CODEC SECONDS
// Prints one line of JSON: packets received by kind, and the status of each request.
import { createRequire } from 'node:module';

const [folder, whep, viewToken, whip, token, codec, seconds] = process.argv.slice(2);
const { RTCPeerConnection, MediaStreamTrack, useH264, useOPUS, useVP8 } = createRequire(`${folder}/`)('werift');
const seen = { audio: 0, video: 0, statuses: [] };
const config = { codecs: { audio: [useOPUS()], video: [codec === 'h264' ? useH264() : useVP8()] }, iceServers: [] };

async function negotiate(connection, url, bearer) {
  await connection.setLocalDescription(await connection.createOffer());
  const headers = { 'Content-Type': 'application/sdp', Authorization: `Bearer ${bearer}` };
  const response = await fetch(url, { method: 'POST', headers, body: connection.localDescription.sdp });
  seen.statuses.push(response.status);
  const text = await response.text();
  if (response.status !== 201) throw new Error(`${url}: ${response.status} ${text}`);
  await connection.setRemoteDescription({ type: 'answer', sdp: text });
  const resource = new URL(response.headers.get('Location'), url);
  return async () => {
    seen.statuses.push((await fetch(resource, { method: 'DELETE', headers })).status);
    await connection.close();
  };
}

const tracks = { audio: new MediaStreamTrack({ kind: 'audio' }), video: new MediaStreamTrack({ kind: 'video' }) };
const up = new RTCPeerConnection(config);
for (const track of Object.values(tracks)) up.addTransceiver(track, { direction: 'sendonly' });
const stop = await negotiate(up, whip, token);

const down = new RTCPeerConnection(config);
for (const kind of ['audio', 'video']) {
  const transceiver = down.addTransceiver(kind, { direction: 'recvonly' });
  transceiver.onTrack.subscribe((track) => {
    track.onReceiveRtp.subscribe((packet) => {
      seen[kind] += 1;
      if (up.connectionState === 'connected') tracks[kind].writeRtp(packet.clone());
    });
    if (kind === 'video') setInterval(() => transceiver.receiver.sendRtcpPLI(track.ssrc), 1000).unref();
  });
}
const leave = await negotiate(down, whep, viewToken);

await new Promise((done) => setTimeout(done, 1000 * Number(seconds)));
await leave();
await stop();
console.log(JSON.stringify(seen));
process.exit(0);
