// The picture on mid-grey: loading, showing, timing. Trials and examples share it.
import {sleep} from "./network.js";
import {byId, say} from "./texts.js";
import {fits, neededWindow, onViewChange, pinched, place, windowSize} from "./viewing.js";

const loading = new Map(); // address -> promise of a decoded image
let shown = null; // the image on screen
let clock = null;

/** Loads and decodes a picture, so that it appears whole and at once later. Fails where the server has none. */
export function preload(url) {
  if (!loading.has(url)) {
    const image = new Image();
    image.draggable = false;
    image.src = url;
    const decoded = image.decode().then(() => image);
    loading.set(url, decoded);
    decoded.catch(() => loading.delete(url));
  }
  return loading.get(url);
}

const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));

/** Empties the stage to plain grey. */
export function blank() {
  shown = null;
  clock = null;
  byId("stage").replaceChildren();
  byId("small").hidden = true;
}

/**
 * Shows the picture of `url` once the stage has been blank for `pause` milliseconds, and starts its clock when it is
 * on screen. `wanted` tells whether it is still wanted after the waiting.
 */
export async function showPicture(url, {alt, pause, wanted}) {
  const [image] = await Promise.all([preload(url), sleep(pause)]);
  if (!wanted()) return;
  loading.delete(url);
  image.alt = alt;
  shown = image;
  place(image, byId("stage"));
  byId("stage").replaceChildren(image);
  fit();
  // The first frame paints it, the second begins after it has been shown. A hidden tab has no frames: it waits here.
  await frame();
  await frame();
  if (!wanted()) return;
  clock = new Clock();
}

/** Milliseconds since the picture became visible: {visible_ms, hidden_ms}; null while there is none to be judged. */
export function seen() {
  return clock && !covered() ? clock.read() : null;
}

/** Keeps the time in which the picture could be seen apart from that in which it could not. */
class Clock {
  constructor() {
    this.visible = 0;
    this.hidden = 0;
    this.since = performance.now();
    this.watching = !covered();
  }

  turn() {
    const now = performance.now();
    this[this.watching ? "visible" : "hidden"] += now - this.since;
    this.since = now;
    this.watching = !covered();
  }

  read() {
    this.turn();
    return {visible_ms: Math.round(this.visible), hidden_ms: Math.round(this.hidden)};
  }
}

function covered() {
  return document.hidden || !byId("small").hidden;
}

/** Keeps the picture on the grid of device pixels, and covers it where it would be cut off or resampled. */
function fit() {
  if (!shown) return;
  const size = [shown.naturalWidth, shown.naturalHeight];
  const [needWidth, needHeight] = neededWindow(size);
  const [width, height] = windowSize();
  const reason = pinched() ? "pinch" : fits(size) ? null : "small";
  if (reason) {
    byId("small-title").textContent = say(`${reason}_title`);
    byId("small-text").textContent = say(`${reason}_text`, {
      width,
      height,
      need_width: needWidth,
      need_height: needHeight,
    });
  }
  byId("small").hidden = !reason;
  place(shown, byId("stage"));
  clock?.turn();
}

onViewChange(fit);
document.addEventListener("visibilitychange", () => clock?.turn());
