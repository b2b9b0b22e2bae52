/** Converts samples from -1 to 1 to 16 bit. Louder ones are clipped. */
export function toPcm16(samples: Float32Array): Int16Array {
  const pcm = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i += 1) {
    pcm[i] = Math.max(-32768, Math.min(32767, Math.round((samples[i] as number) * 32767)));
  }
  return pcm;
}

/** Encodes samples as 16 bit, little endian. A view of them where the machine is little endian. */
export function pcmBytes(samples: Int16Array): Uint8Array {
  if (LITTLE_ENDIAN) return new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  const view = new DataView(new ArrayBuffer(samples.byteLength));
  samples.forEach((sample, index) => view.setInt16(2 * index, sample, true));
  return new Uint8Array(view.buffer);
}

/** Decodes 16 bit, little endian. */
export function pcmSamples(bytes: Uint8Array): Int16Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Int16Array.from({ length: bytes.byteLength >> 1 }, (_, index) => view.getInt16(2 * index, true));
}

const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
