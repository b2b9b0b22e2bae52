/** Counts the samples (48 kHz) of one Opus packet: RFC 6716, 3.1 and 3.2. Throws `RangeError` for an invalid one. */
export function opusSamples(packet: Uint8Array): number {
  const toc = packet[0];
  if (toc === undefined) throw new RangeError("an empty Opus packet");
  const config = toc >> 3;
  const frame =
    config < 12 ? [480, 960, 1920, 2880][config & 3] : config < 16 ? [480, 960][config & 1] : 120 << (config & 3);
  const code = toc & 3;
  const frames = code === 0 ? 1 : code < 3 ? 2 : (packet[1] ?? 0) & 63;
  if (frames === 0) throw new RangeError("an Opus packet without frames");
  return frames * (frame as number);
}
