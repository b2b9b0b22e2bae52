// Made from clients/js by `npm run build && npm run bundle`. Change it there.
/** Runs in the audio thread: makes 20 ms of 16-bit mono out of every eight or so blocks, and posts them. */
class Capture extends AudioWorkletProcessor {
    #chunk = new Int16Array(sampleRate / 50);
    #filled = 0;
    process(inputs) {
        const channels = inputs[0] ?? [];
        const length = channels[0]?.length ?? 0; // 0: the microphone has gone
        for (let i = 0; i < length; i += 1) {
            let sum = 0;
            for (const channel of channels)
                sum += channel[i];
            this.#chunk[this.#filled] = Math.max(-32768, Math.min(32767, Math.round((32767 * sum) / channels.length)));
            this.#filled += 1;
            if (this.#filled === this.#chunk.length)
                this.#post();
        }
        return true;
    }
    #post() {
        const chunk = this.#chunk;
        this.port.postMessage(chunk, [chunk.buffer]);
        this.#chunk = new Int16Array(sampleRate / 50);
        this.#filled = 0;
    }
}
registerProcessor("mytalk-microphone", Capture);
export {};
