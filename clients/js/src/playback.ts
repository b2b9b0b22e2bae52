/** Playback on an element of the page. */

/** Plays `media`, also without `autoplay`. Where the browser wants a gesture first, the element stays paused. */
export function play(element: HTMLMediaElement, media: MediaStream): void {
  element.srcObject = media;
  element.play().catch((error: DOMException) => {
    // AbortError: the page shows something else on it by now.
    if (error.name !== "NotAllowedError" && error.name !== "AbortError") throw error;
  });
}
