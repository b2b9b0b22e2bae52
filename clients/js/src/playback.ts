/** Playback on an element of the page. */

/** Plays `media`, whether or not the element has `autoplay`. Where the browser wants a gesture first, it stays paused. */
export function play(element: HTMLMediaElement, media: MediaStream): void {
  element.srcObject = media;
  element.play().catch((error: DOMException) => {
    // AbortError: the page shows something else on it by now.
    if (error.name !== "NotAllowedError" && error.name !== "AbortError") throw error;
  });
}
