// One focus (the crop's centre, as a share of the picture) and one zoom move all crops at once.
// The crops are drawn on canvases without smoothing: a picture's pixel becomes a block of zoom x zoom CSS pixels.
const MAX_ZOOM = 8;
const view = { x: 0.5, y: 0.5, zoom: 3 };
let job = null;
let pictures = [];

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const find = (selector) => element.querySelector(selector);

function size() {
  const first = pictures.find((picture) => picture && picture.complete && picture.naturalWidth);
  return first ? { width: first.naturalWidth, height: first.naturalHeight } : null;
}

// The crop in pixels of the picture: whole ones, inside the picture where it is large enough.
function crop(canvas, whole) {
  const side = Math.max(1, Math.round(canvas.clientWidth / view.zoom));
  const place = (share, length) =>
    length <= side ? -Math.round((side - length) / 2) : clamp(Math.round(share * length - side / 2), 0, length - side);
  return { left: place(view.x, whole.width), top: place(view.y, whole.height), side };
}

function draw() {
  const whole = size();
  const canvases = [...element.querySelectorAll("canvas")];
  if (!whole || !canvases.length) return;
  canvases.forEach((canvas, index) => {
    const pixels = Math.round(canvas.clientWidth * window.devicePixelRatio);
    if (canvas.width !== pixels) canvas.width = canvas.height = pixels;
    const context = canvas.getContext("2d");
    const { left, top } = crop(canvas, whole);
    const scale = view.zoom * window.devicePixelRatio;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.setTransform(scale, 0, 0, scale, -left * scale, -top * scale);
    context.imageSmoothingEnabled = false;
    if (pictures[index].complete && pictures[index].naturalWidth) context.drawImage(pictures[index], 0, 0);
  });
  const { left, top, side } = crop(canvases[0], whole);
  const right = Math.min(left + side, whole.width);
  const bottom = Math.min(top + side, whole.height);
  const percent = (value, length) => `${(100 * value) / length}%`;
  Object.assign(find(".box").style, {
    left: percent(Math.max(left, 0), whole.width),
    top: percent(Math.max(top, 0), whole.height),
    width: percent(right - Math.max(left, 0), whole.width),
    height: percent(bottom - Math.max(top, 0), whole.height),
  });
  find('[data-control="x"]').value = 100 * view.x;
  find('[data-control="y"]').value = 100 * view.y;
  find('[data-control="zoom"]').value = view.zoom;
  find('[data-show="zoom"]').textContent = `×${view.zoom}`;
  Object.assign(find(".panes").dataset, { left, top, side });
}

function move(x, y, zoom = view.zoom) {
  const whole = size();
  const canvas = find("canvas");
  if (!whole || !canvas) return;
  view.zoom = clamp(zoom, 1, MAX_ZOOM);
  // The centre stays where a whole crop fits, so that a drag at the edge answers at once in the other direction.
  const margin = (length) => Math.min(0.5, canvas.clientWidth / view.zoom / 2 / length);
  view.x = clamp(x, margin(whole.width), 1 - margin(whole.width));
  view.y = clamp(y, margin(whole.height), 1 - margin(whole.height));
  draw();
}

function load() {
  const value = props.value;
  if (!value) return;
  if (value.job !== job) {
    job = value.job;
    Object.assign(view, { x: value.focus[0], y: value.focus[1] });
  }
  pictures = [...element.querySelectorAll("canvas")].map((canvas) => {
    const picture = new Image();
    picture.onload = () => move(view.x, view.y);
    picture.src = canvas.dataset.url;
    return picture;
  });
}

element.addEventListener("input", (event) => {
  const control = event.target.dataset.control;
  if (control === "zoom") move(view.x, view.y, Number(event.target.value));
  if (control === "x") move(Number(event.target.value) / 100, view.y);
  if (control === "y") move(view.x, Number(event.target.value) / 100);
});

element.addEventListener("keydown", (event) => {
  if (!event.target.classList.contains("panes")) return;
  const whole = size();
  const canvas = find("canvas");
  if (!whole) return;
  const step = canvas.clientWidth / view.zoom / 8;
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  const zoom = { "+": 1, "=": 1, "-": -1 }[event.key];
  if (steps) move(view.x + (steps[0] * step) / whole.width, view.y + (steps[1] * step) / whole.height);
  if (zoom) move(view.x, view.y, view.zoom + zoom);
  if (steps || zoom) event.preventDefault();
});

let drag = null;

function toPointer(event) {
  const frame = find(".frame").getBoundingClientRect();
  move((event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height);
}

element.addEventListener("pointerdown", (event) => {
  const frame = event.target.closest(".frame");
  const canvas = event.target.closest("canvas");
  if (!frame && !canvas) return;
  drag = { frame: Boolean(frame), clientX: event.clientX, clientY: event.clientY, x: view.x, y: view.y };
  (frame || canvas).setPointerCapture(event.pointerId);
  find(".panes").classList.add("dragging");
  if (frame) toPointer(event);
});

element.addEventListener("pointermove", (event) => {
  const whole = size();
  if (!drag || !whole) return;
  if (drag.frame) return toPointer(event);
  const shift = (now, before, length) => (now - before) / view.zoom / length;
  move(
    drag.x - shift(event.clientX, drag.clientX, whole.width),
    drag.y - shift(event.clientY, drag.clientY, whole.height)
  );
});

for (const end of ["pointerup", "pointercancel"]) {
  element.addEventListener(end, () => {
    drag = null;
    const panes = find(".panes");
    if (panes) panes.classList.remove("dragging");
  });
}

new ResizeObserver(() => move(view.x, view.y)).observe(element);
watch("value", load);
load();
