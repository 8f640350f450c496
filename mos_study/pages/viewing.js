// The grid of device pixels: where a picture goes, whether it fits, and what is known about the screen.

const MARGIN = 8; // CSS pixels of grey around the largest picture

/** CSS size of a picture of width x height image pixels, each drawn as one device pixel. */
function cssSize(width, height) {
  return [width, height].map((side) => side / devicePixelRatio);
}

/**
 * Puts a decoded picture into the middle of `stage` so that it is never resampled: its edges on whole device pixels.
 *
 * Browsers round boxes to whole device pixels, or to whole CSS pixels where the ratio is only simulated. With a whole
 * ratio both hold for a box of as many CSS pixels as the image has, shrunk by the ratio when it is drawn. With a broken
 * ratio the rounded box of that size would be another one after shrinking, so it gets its final size at once.
 */
export function place(image, stage) {
  const ratio = devicePixelRatio;
  const whole = isWhole(ratio);
  const natural = [image.naturalWidth, image.naturalHeight];
  const [width, height] = cssSize(...natural);
  const [boxWidth, boxHeight] = whole ? natural : [width, height];
  const box = stage.getBoundingClientRect();
  image.style.width = `${boxWidth}px`;
  image.style.height = `${boxHeight}px`;
  image.style.transform = whole && ratio !== 1 ? `scale(${1 / ratio})` : "";
  image.style.left = `${onGrid(box.left + (box.width - width) / 2) - box.left}px`;
  image.style.top = `${onGrid(box.top + (box.height - height) / 2) - box.top}px`;
}

/** Ratios come as single-precision numbers, such as 1.0000000149. */
function isWhole(number) {
  return Math.abs(number - Math.round(number)) < 1e-3;
}

/** The place closest to `position` (CSS pixels) that is whole in CSS pixels and in device pixels, or in the latter. */
function onGrid(position) {
  for (let step = 0; step <= 10; step += 1) {
    for (const near of [Math.round(position) + step, Math.round(position) - step]) {
      if (isWhole(near * devicePixelRatio)) return near;
    }
  }
  return Math.round(position * devicePixelRatio) / devicePixelRatio;
}

/** CSS size that the window needs for a picture with the bars above and below it. */
export function neededWindow([width, height]) {
  const style = getComputedStyle(document.documentElement);
  const bars = parseFloat(style.getPropertyValue("--bar")) + parseFloat(style.getPropertyValue("--panel"));
  const [across, down] = cssSize(width, height);
  return [Math.ceil(across + 2 * MARGIN), Math.ceil(down + bars + 2 * MARGIN)];
}

export function windowSize() {
  return [document.documentElement.clientWidth, innerHeight];
}

export function fits(size) {
  const [width, height] = windowSize();
  const [needWidth, needHeight] = neededWindow(size);
  return width >= needWidth && height >= needHeight;
}

/** Two fingers enlarge the finished page, so that its pixels are resampled. */
export function pinched() {
  return Math.abs((visualViewport?.scale ?? 1) - 1) > 0.01;
}

/** The browser's zoom in percent, as far as the window's frame tells it. */
export function zoom() {
  if (!outerWidth || !innerWidth || matchMedia("(pointer: coarse)").matches) return 100;
  const percent = Math.round((100 * outerWidth) / innerWidth);
  return Math.abs(percent - 100) <= 4 ? 100 : percent;
}

/** Facts about the screen that go with a rater's answers. */
export function screenFacts() {
  const [width, height] = windowSize();
  return {
    pixel_ratio: devicePixelRatio,
    zoom: zoom(),
    window_width: width,
    window_height: height,
    screen_width: screen.width,
    screen_height: screen.height,
  };
}

/** Calls back when anything changes that decides whether a picture fits. */
export function onViewChange(call) {
  addEventListener("resize", call);
  visualViewport?.addEventListener("resize", call);
  document.addEventListener("fullscreenchange", call);
  // A window dragged to another screen changes the ratio without a change of size.
  const watch = () => {
    const changed = () => {
      call();
      watch();
    };
    matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener("change", changed, {once: true});
  };
  watch();
}

export function offerFullscreen() {
  for (const button of document.querySelectorAll("[data-fullscreen]")) {
    button.hidden = !document.fullscreenEnabled;
    button.addEventListener("click", () => {
      if (document.fullscreenElement) document.exitFullscreen();
      else document.documentElement.requestFullscreen().catch(() => {});
    });
  }
}
