// The pages around the pictures: consent, viewing check, questions, instructions, and plain ones with a button.
import {byId, element, list, loadTexts, say} from "./texts.js";
import {fits, neededWindow, onViewChange, pinched, windowSize, zoom} from "./viewing.js";

const pages = () => document.querySelectorAll("[data-page]");

/** Shows one page of the card, and resolves with `read()` when its form is sent; `read` gives null to stay. */
export function page(name, read = () => true) {
  byId("viewer").hidden = true;
  byId("card").hidden = false;
  let form;
  for (const other of pages()) {
    other.hidden = other.dataset.page !== name;
    if (!other.hidden) form = other;
  }
  scrollTo(0, 0);
  byId("card").focus({preventScroll: true});
  return new Promise((resolve) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      const values = read(form);
      if (values !== null) resolve(values);
    };
  });
}

/** Makes room for the pictures. */
export function leavePages() {
  byId("card").hidden = true;
  byId("viewer").hidden = false;
}

/** Enter goes on from a plain page also where a click has taken the focus away; held, it runs through nothing. */
export function listenForEnter() {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const idle = document.activeElement === document.body || document.activeElement === byId("card");
    const form = document.querySelector("[data-page=plain]:not([hidden])");
    if (event.repeat) event.preventDefault();
    else if (idle && form && !byId("card").hidden && !byId("plain-next").parentElement.hidden) form.requestSubmit();
  });
}

/** A title, a text and a button; without `button` it stays. */
export function plain(title, {text, more = "", code = "", button = null}) {
  byId("plain-title").textContent = title;
  byId("plain-text").textContent = text;
  byId("plain-more").textContent = more;
  byId("code").textContent = code;
  byId("code").hidden = !code;
  byId("plain-next").parentElement.hidden = !button;
  byId("plain-next").textContent = button ?? "";
  const done = page("plain");
  if (button) byId("plain-next").focus({preventScroll: true});
  return done;
}

/** Resolves with the language in which the rater has agreed. */
export function askConsent(state) {
  const show = async (language) => {
    await loadTexts(language);
    for (const button of byId("languages").children) button.ariaPressed = String(button.lang === language);
    byId("consent-text").textContent = state.consent[language] ?? say("consent_default");
  };
  byId("languages").hidden = Object.keys(state.languages).length < 2;
  byId("languages").replaceChildren(
    ...Object.entries(state.languages).map(([language, name]) => {
      const button = element("button", {type: "button", textContent: name, lang: language});
      button.addEventListener("click", () => show(language));
      return button;
    }),
  );
  const ready = byId("agree");
  const start = document.querySelector("[data-page=consent] .main");
  ready.onchange = () => {
    start.disabled = !ready.checked;
  };
  ready.onchange();
  show(document.documentElement.lang);
  return page("consent", () => (ready.checked ? document.documentElement.lang : null));
}

/** Resolves when the largest picture fits and the rater says so. */
export function checkViewing(state) {
  const mark = (id, quality, text) => {
    byId(id).dataset.mark = quality;
    byId(id).textContent = text;
  };
  const good = () => fits(state.largest) && !pinched();
  const look = () => {
    const [width, height] = windowSize();
    const [needWidth, needHeight] = neededWindow(state.largest);
    const sizes = {width, height, need_width: needWidth, need_height: needHeight};
    const large = fits(state.largest);
    mark("check-window", large ? "good" : "bad", say(large ? "check_window_good" : "check_window_bad", sizes));
    const percent = zoom();
    if (pinched()) mark("check-zoom", "bad", say("check_pinch"));
    else if (percent === 100) mark("check-zoom", "good", say("check_zoom_good"));
    else mark("check-zoom", "warn", say("check_zoom_warn", {zoom: percent}));
    mark("check-ratio", "good", String(Math.round(devicePixelRatio * 100) / 100));
    byId("check-help").hidden = good() && percent === 100;
    byId("check-done").disabled = !good();
  };
  onViewChange(look);
  look();
  return page("check", () => (good() ? true : null));
}

/** Resolves with the answers, by the questions' keys. */
export function askQuestions(questions) {
  byId("questions").replaceChildren(...questions.map(question));
  return page("questions", () => {
    const answers = {};
    let wrong = null;
    for (const asked of questions) {
      const [answer, error] = read(asked);
      const place = byId(`error-${asked.key}`);
      place.hidden = !error;
      place.textContent = error ?? "";
      for (const input of byId("questions").querySelectorAll(`[name="${asked.key}"]`)) input.ariaInvalid = String(!!error);
      if (error) wrong ??= asked.key;
      else if (answer !== "") answers[asked.key] = answer;
    }
    if (wrong) byId("questions").querySelector(`[name="${wrong}"]`).focus();
    return wrong ? null : answers;
  });
}

function question({key, text, kind, choices, required}) {
  const label = required ? text : `${text} (${say("optional")})`;
  const error = element("p", {id: `error-${key}`, className: "error", hidden: true});
  error.setAttribute("role", "alert");
  if (kind === "choice") {
    const options = choices.map((choice, at) =>
      element("label", {}, element("input", {type: "radio", name: key, value: at}), element("span", {textContent: choice})),
    );
    return element("fieldset", {}, element("legend", {textContent: label}), element("div", {className: "choices"}, ...options), error);
  }
  const input = element("input", {name: key, id: `question-${key}`, autocomplete: "off"});
  if (kind === "number") input.inputMode = "numeric";
  else input.maxLength = 500;
  input.setAttribute("aria-describedby", error.id);
  return element("div", {className: "question"}, element("label", {textContent: label, htmlFor: input.id}), input, error);
}

/** The answer to a question and what is wrong with it. A choice is told by its place, so that it has no language. */
function read({key, kind, required, minimum, maximum}) {
  const inputs = [...byId("questions").querySelectorAll(`[name="${key}"]`)];
  const value = kind === "choice" ? (inputs.find((input) => input.checked)?.value ?? "") : inputs[0].value.trim();
  if (value === "") return [value, required ? say("questions_missing") : null];
  if (kind === "text") return [value, null];
  const number = Number(value);
  const good = kind === "choice" || (Number.isInteger(number) && number >= minimum && number <= maximum);
  return [number, good ? null : say("questions_number", {low: minimum, high: maximum})];
}

export function instruct(state) {
  const own = state.instructions[document.documentElement.lang];
  const words = element("ul", {}, ...list("instructions_text").map((text) => element("li", {textContent: text})));
  byId("instructions-text").replaceChildren(own ?? words);
  byId("grades").replaceChildren(
    ...[1, 2, 3, 4, 5].map((score) => element("li", {}, element("b", {textContent: score}), say(`score_${score}`))),
  );
  return page("instructions");
}
