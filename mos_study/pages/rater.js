// What the rater meets, in order. The server says where the rater stands; the pages in between are shown here.
import {showExamples} from "./examples.js";
import {askConsent, askQuestions, checkViewing, instruct, leavePages, listenForEnter, plain} from "./forms.js";
import {notice, send, sleep} from "./network.js";
import {loadTexts, say} from "./texts.js";
import {leaveTrial, prepareTrials, showTrial, waiting} from "./trial.js";
import {offerFullscreen, screenFacts} from "./viewing.js";
import {testSight} from "./vision.js";

const REMINDERS = 4; // pictures of the short reminder
const LOOK_AGAIN = 15000; // milliseconds until a paused study is asked whether it goes on

let back = true; // the page has just been opened
let practised = false; // the last trial was practice
let busy = false; // a page waits for the rater, or an answer is on its way

const STAGES = {
  consent: async (state) => send("consent", {language: await askConsent(state)}),
  check: async (state) => {
    await checkViewing(state);
    return send("check", screenFacts());
  },
  questions: async (state) => {
    const sight = await testSight(state.sight);
    const answers = state.questions.length ? await askQuestions(state.questions) : {};
    return send("answers", {...answers, ...sight});
  },
  instructions: async (state) => {
    await instruct(state);
    if (state.examples.length) {
      await plain(say("examples_title"), {text: say("examples_intro"), button: say("examples_start")});
      leavePages();
      await showExamples(state.examples, state.examples.map((_, n) => n));
    }
    if (state.practice) {
      const text = say("practice_text", {total: state.practice});
      await plain(say("practice_title"), {text, button: say("practice_start")});
    }
    practised = true; // the main part is announced when it begins
    return send("calibrated", {});
  },
  break: async (state) => {
    const {session, minutes} = state.break;
    const text = say(minutes ? "break_text" : "break_short", {session, minutes});
    await plain(say("break_title"), {text, button: say("break_next", {next: session + 1})});
    return send("resume", {});
  },
  done: (state) => ends(say("done_title"), {
    text: `${say("done_text")} ${say("done_close")}`,
    more: say("done_code"),
    code: state.code,
  }),
  closed: () => ends(say("closed_title"), {text: say("closed_text")}),
  paused: async () => {
    plain(say("paused_title"), {text: say("paused_text")});
    await sleep(LOOK_AGAIN);
    return send("state");
  },
};

/** A page after which nothing comes. */
function ends(title, content) {
  plain(title, content);
  return null;
}

/** A short look at the examples for one who comes back. */
async function remind(state) {
  const {done, total} = state.progress;
  const some = state.examples.map((_, n) => n).slice(0, REMINDERS);
  const button = some.length ? say("remind_start") : say("next");
  await plain(say("remind_title"), {text: say("remind_text", {done, total}), button});
  if (some.length) {
    leavePages();
    await showExamples(state.examples, some);
  }
  await send("check", screenFacts()); // it may be another screen
  return send("resume", {});
}

/** What to tell of an answer that the server did not take; null for one that it took. */
function refusal({status, retried}, stage) {
  if (status < 400 || status === 410) return null;
  if (status !== 404 && status !== 409) return say("failed");
  // An answer sent again after a lost acknowledgement is no other window's.
  return stage === "trial" && !retried ? say("elsewhere") : null;
}

async function show(answer) {
  for (let next = answer; next; ) {
    const state = next.state ?? next;
    if (!state.stage) {
      notice(say("failed"));
      return;
    }
    notice(refusal(next, state.stage));
    busy = true;
    const returns = back && (state.stage === "trial" || state.stage === "break");
    back = false;
    if (returns) next = await remind(state);
    else if (state.stage === "trial") {
      if (practised && !state.trial.practice) {
        practised = false;
        const text = say("main_text", {total: state.progress.total - state.progress.done});
        await plain(say("main_title"), {text, button: say("main_start")});
      }
      practised = state.trial.practice;
      leavePages();
      busy = false;
      await showTrial(state);
      return;
    } else {
      leaveTrial();
      next = await STAGES[state.stage](state);
    }
  }
}

/** Another window of the same rater may be further: on coming back to this one, it shows the truth. */
async function catchUp() {
  const here = waiting();
  if (document.hidden || busy || !here) return;
  const state = await send("state");
  if (waiting() === here && state.trial?.trial !== here) show({...state, status: 409});
}

async function start() {
  await loadTexts(document.documentElement.lang);
  const state = await send("state");
  offerFullscreen();
  listenForEnter();
  prepareTrials(show);
  document.addEventListener("visibilitychange", catchUp);
  await show(state);
}

start().catch(() => notice("The page could not be loaded. Please reload it. – Bitte laden Sie die Seite neu."));
