// One trial: show, take a score once, send it. What comes next is for the server to say.
import {address, notice, send} from "./network.js";
import {byId, element, say} from "./texts.js";
import {blank, preload, seen, showPicture} from "./viewer.js";
import {screenFacts} from "./viewing.js";

const BLANK = 400; // milliseconds of plain grey between two pictures
const REACTION = 200; // milliseconds: a shorter time is a bouncing key, not a judgement
const PACE_FROM = 8; // ratings after which the rater's own pace tells the time left

let now = null; // the state on screen; null while nothing can be rated
let turn = 0; // counts the states, so that what was waited for can tell that it came too late
let onState;
const paces = [];

const picture = (token) => address(`picture/${token}`);

/** onState: called with every state that the server answers. */
export function prepareTrials(call) {
  onState = call;
  for (const score of [1, 2, 3, 4, 5]) {
    const button = element("button", {type: "button"}, element("b", {textContent: score}), element("span"));
    button.dataset.score = score;
    // detail counts the clicks of a double click: its second one belongs to the picture before.
    button.addEventListener("click", (event) => event.detail < 2 && rate(score));
    byId("scores").append(button);
  }
  byId("undo").addEventListener("click", (event) => event.detail < 2 && undo());
  document.addEventListener("keydown", (event) => {
    if (byId("viewer").hidden || byId("scores").hidden) return;
    // A held digit rates none of the pictures that follow, as a held Enter on a button does not.
    if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
    if (/^[1-5]$/.test(event.key)) rate(Number(event.key));
    if (event.key.toLowerCase() === "u" && !byId("undo").hidden) undo();
  });
}

export async function showTrial(state) {
  const mine = ++turn;
  const {trial, progress} = state;
  now = null;
  blank();
  byId("scores").hidden = false;
  byId("example").hidden = true;
  byId("scores").removeAttribute("aria-disabled");
  for (const button of byId("scores").children) {
    button.lastChild.textContent = say(`score_${button.dataset.score}`);
  }
  byId("undo").hidden = !trial.undo;
  byId("badge").hidden = !trial.practice;
  byId("badge").textContent = say("practice_badge");
  showProgress(progress);
  const place = {n: progress.done + 1, total: progress.total};
  const wanted = () => mine === turn;
  try {
    await showPicture(picture(trial.trial), {
      alt: say("trial_alt", place),
      pause: BLANK,
      wanted,
    });
  } catch {
    // Not there for us: the study was closed, or another window is further. The server knows.
    if (!wanted()) return;
    notice(say("picture_failed"));
    const answer = await send("state");
    if (wanted()) setTimeout(() => wanted() && onState(answer), 1000);
    return;
  }
  if (!wanted()) return;
  for (const button of byId("scores").children) delete button.dataset.chosen;
  now = state;
  byId("announce").textContent = say("trial_said", place);
  if (trial.next) preload(picture(trial.next)).catch(() => {});
}

/** Leaves the trial: nothing that was waited for appears any more. */
export function leaveTrial() {
  turn += 1;
  now = null;
  blank();
}

/** The trial on screen that waits for a score. */
export function waiting() {
  return now?.trial.trial ?? null;
}

async function rate(score) {
  const times = seen();
  if (!now || !times || times.visible_ms < REACTION) return;
  const mine = ++turn;
  const {trial} = now;
  now = null;
  blank();
  byId("announce").textContent = "";
  byId("scores").querySelector(`[data-score="${score}"]`).dataset.chosen = "";
  paces.push(times.visible_ms);
  const answer = await send("rate", {trial: trial.trial, score, ...times, client: screenFacts()});
  if (mine === turn) onState(answer);
}

async function undo() {
  if (!now) return;
  const mine = ++turn;
  const {trial} = now;
  now = null;
  blank();
  const answer = await send("undo", {trial: trial.trial});
  if (mine === turn) onState({...answer, retried: true}); // refused: there was nothing to undo, as the page shows
}

function showProgress({done, total, seconds_left: expected}) {
  Object.assign(byId("progress"), {max: total, value: done});
  byId("done").textContent = say("trial_progress", {done, total});
  const recent = paces.slice(-50).sort((a, b) => a - b);
  const own = recent.length >= PACE_FROM ? (recent[recent.length >> 1] / 1000 + 1) * (total - done) : expected;
  const minutes = Math.round(own / 60);
  const values = {hours: Math.floor(minutes / 60), minutes: minutes % 60};
  byId("left").textContent = say(minutes < 1 ? "time_soon" : minutes < 60 ? "time_minutes" : "time_hours", values);
}
