// The sentences of the page, in the rater's language.
let words = {};

export async function loadTexts(language) {
  const answer = await fetch(new URL(`../pages/texts/${language}.json`, location), {credentials: "omit"});
  if (!answer.ok) throw new Error(`no texts in ${language}`);
  words = await answer.json();
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = words[element.dataset.text];
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", words[element.dataset.label]);
  }
  for (const list of document.querySelectorAll("[data-list]")) list.replaceChildren(...items(words[list.dataset.list]));
}

export function items(sentences) {
  return sentences.map((sentence) => element("li", {textContent: sentence}));
}

/** The sentence of a key with its {places} filled in. */
export function say(key, values = {}) {
  return words[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** A list of sentences. */
export function list(key) {
  return words[key];
}

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function byId(id) {
  return document.getElementById(id);
}
