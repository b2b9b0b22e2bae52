/** Collects blocks of 128 samples in the audio thread, and posts them as mono chunks of 20 ms, 16 bit. */

declare const sampleRate: number;
declare function registerProcessor(name: string, processor: new () => Worklet): void;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}

interface Worklet {
  process(inputs: Float32Array[][]): boolean;
}

class Capture extends AudioWorkletProcessor implements Worklet {
  #chunk = new Int16Array(sampleRate / 50);
  #filled = 0;

  process(inputs: Float32Array[][]): boolean {
    const channels = inputs[0] ?? [];
    const length = channels[0]?.length ?? 0; // 0: the microphone was unplugged
    for (let i = 0; i < length; i += 1) {
      let sum = 0;
      for (const channel of channels) sum += channel[i] as number;
      this.#chunk[this.#filled] = Math.max(-32768, Math.min(32767, Math.round((32767 * sum) / channels.length)));
      this.#filled += 1;
      if (this.#filled === this.#chunk.length) this.#post();
    }
    return true;
  }

  #post(): void {
    const chunk = this.#chunk;
    this.port.postMessage(chunk, [chunk.buffer]);
    this.#chunk = new Int16Array(sampleRate / 50);
    this.#filled = 0;
  }
}

registerProcessor("mytalk-microphone", Capture);
