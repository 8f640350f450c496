// Two short tests of sight, drawn here: Landolt rings (acuity) and dotted plates (red-green colour vision).
import {page} from "./forms.js";
import {byId, element, say} from "./texts.js";

const SIDES = ["up", "right", "down", "left"];
const GAPS = [8, 5, 3, 2, 2, 1, 1]; // device pixels; a ring is five gaps wide, its line one
const PLATES = 3;
const DIGITS = ["2", "3", "5", "6", "8", "9"];
// Pairs that red-green deficient eyes confuse; the lightness varies from dot to dot, so that it tells nothing.
const FIGURE = [[18, 65], [30, 70], [10, 60]];
const GROUND = [[75, 40], [95, 38], [60, 45]];
const SIZE = 260; // CSS pixels of the canvas

const pick = (list) => list[Math.floor(Math.random() * list.length)];

/** wanted: some of "acuity" and "colour". Resolves with how many of each were seen rightly. */
export async function testSight(wanted) {
  const gaps = wanted.includes("acuity") ? GAPS : [];
  const plates = wanted.includes("colour") ? PLATES : 0;
  const total = gaps.length + plates;
  const answers = {};
  let n = 0;
  let right = 0;
  for (const gap of gaps) {
    const side = pick(SIDES);
    drawRing(gap, SIDES.indexOf(side));
    const choices = SIDES.map((value) => [value, say(`vision_${value}`)]);
    right += (await ask("vision_acuity", "vision_ring", choices, ++n, total)) === side;
  }
  if (gaps.length) answers.sight_acuity = `${right}/${gaps.length}`;
  right = 0;
  for (let plate = 0; plate < plates; plate += 1) {
    const digit = pick(DIGITS);
    drawPlate(digit);
    const choices = DIGITS.map((value) => [value, value]);
    right += (await ask("vision_colour", "vision_plate", choices, ++n, total)) === digit;
  }
  if (plates) answers.sight_colour = `${right}/${plates}`;
  return answers;
}

function ask(question, label, choices, n, total) {
  page("vision");
  byId("vision-question").textContent = say(question);
  byId("vision-canvas").ariaLabel = say(label);
  byId("vision-progress").textContent = say("vision_progress", {n, total});
  return new Promise((resolve) => {
    const buttons = [...choices, [null, say("vision_none")]].map(([value, textContent]) => {
      const button = element("button", {type: "button", textContent});
      button.addEventListener("click", () => resolve(value));
      return button;
    });
    byId("vision-answers").replaceChildren(...buttons);
  });
}

function emptyCanvas() {
  const canvas = byId("vision-canvas");
  canvas.width = canvas.height = Math.round(SIZE * devicePixelRatio);
  canvas.style.width = canvas.style.height = `${canvas.width / devicePixelRatio}px`;
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.translate(canvas.width / 2, canvas.height / 2);
  return context;
}

function drawRing(gap, quarter) {
  const context = emptyCanvas();
  context.rotate((quarter * Math.PI) / 2);
  context.fillStyle = "#000";
  context.beginPath();
  context.arc(0, 0, 2.5 * gap, 0, 2 * Math.PI);
  context.arc(0, 0, 1.5 * gap, 0, 2 * Math.PI, true);
  context.fill();
  context.fillStyle = "#fff";
  context.fillRect(-gap / 2, -3 * gap, gap, 2 * gap);
}

function drawPlate(digit) {
  const context = emptyCanvas();
  const radius = context.canvas.width / 2;
  const mask = element("canvas", {width: 2 * radius, height: 2 * radius}).getContext("2d");
  mask.font = `bold ${1.5 * radius}px sans-serif`;
  mask.textAlign = "center";
  mask.textBaseline = "middle";
  mask.fillText(digit, radius, radius);
  const inside = mask.getImageData(0, 0, 2 * radius, 2 * radius).data;
  const dots = [];
  const attempts = 12000;
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    // Large dots first, small ones into the gaps.
    const size = radius * (0.06 - (0.042 * attempt) / attempts);
    const angle = 2 * Math.PI * Math.random();
    const far = (radius - size) * Math.sqrt(Math.random());
    const dot = {x: far * Math.cos(angle), y: far * Math.sin(angle), size};
    if (dots.some((other) => Math.hypot(other.x - dot.x, other.y - dot.y) < other.size + size)) continue;
    dots.push(dot);
    const at = 4 * (Math.floor(dot.y + radius) * 2 * radius + Math.floor(dot.x + radius)) + 3;
    const [hue, saturation] = pick(inside[at] > 128 ? FIGURE : GROUND);
    context.fillStyle = `hsl(${hue} ${saturation}% ${48 + 22 * Math.random()}%)`;
    context.beginPath();
    context.arc(dot.x, dot.y, size, 0, 2 * Math.PI);
    context.fill();
  }
}
