// Watches one session by WHEP and publishes what it gets into another by WHIP, with libdatachannel: what OBS is built on.
// Like OBS it sends its offer before it has gathered a candidate, sends none later, wants 201, and 200 for its DELETE.
//   node libdatachannel_relay.mjs FOLDER_WITH_NODE_DATACHANNEL WHEP VIEW_TOKEN WHIP TOKEN CODEC SECONDS
// Prints one line of JSON: packets received by kind, and the status of each request.
import { createRequire } from 'node:module';

const [folder, whep, viewToken, whip, token, codec, seconds] = process.argv.slice(2);
const library = createRequire(`${folder}/`)('node-datachannel');
const seen = { audio: 0, video: 0, statuses: [] };
const types = { audio: 111, video: 96 };
const sources = { audio: 0x0b5a0001, video: 0x0b5a0002 };

function sections(direction) {
  const audio = new library.Audio('0', direction);
  audio.addOpusCodec(types.audio);
  const video = new library.Video('1', direction);
  if (codec === 'h264') {
    video.addH264Codec(types.video, 'profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1');
  } else video.addVP8Codec(types.video);
  return { audio, video };
}

async function negotiate(connection, url, bearer) {
  const sdp = await new Promise((done) => { connection.onLocalDescription(done); connection.setLocalDescription('offer'); });
  const offer = sdp.split('\r\n').filter((line) => !line.startsWith('a=candidate:')).join('\r\n');
  const headers = { 'Content-Type': 'application/sdp', Authorization: `Bearer ${bearer}` };
  const response = await fetch(url, { method: 'POST', headers, body: offer });
  seen.statuses.push(response.status);
  const text = await response.text();
  if (response.status !== 201) throw new Error(`${url}: ${response.status} ${text}`);
  connection.setRemoteDescription(text, 'answer');
  const resource = new URL(response.headers.get('Location'), url);
  return async () => {
    seen.statuses.push((await fetch(resource, { method: 'DELETE', headers })).status);
    connection.close();
  };
}

const up = new library.PeerConnection('up', { iceServers: [] });
const tracks = {};
for (const [kind, section] of Object.entries(sections('SendOnly'))) {
  section.addSSRC(sources[kind], 'obs', 'obs', `obs-${kind}`);
  tracks[kind] = up.addTrack(section);
}
const stop = await negotiate(up, whip, token);

const down = new library.PeerConnection('down', { iceServers: [] });
const received = {};
for (const [kind, section] of Object.entries(sections('RecvOnly'))) {
  received[kind] = down.addTrack(section);
  received[kind].setMediaHandler(new library.RtcpReceivingSession());
  received[kind].onMessage((packet) => {
    if ((packet[1] & 0x7f) !== types[kind]) return;
    seen[kind] += 1;
    packet.writeUInt32BE(sources[kind], 8);
    if (tracks[kind].isOpen()) tracks[kind].sendMessageBinary(packet);
  });
}
const leave = await negotiate(down, whep, viewToken);
setInterval(() => received.video.isOpen() && received.video.requestKeyframe(), 1000);

await new Promise((done) => setTimeout(done, 1000 * Number(seconds)));
await leave();
await stop();
console.log(JSON.stringify(seen));
process.exit(0);
