// Labelled pictures of both ends of the scale, one after another in the place of the pictures to come.
import {address, notice, sleep} from "./network.js";
import {byId, element, say} from "./texts.js";
import {blank, preload, showPicture} from "./viewer.js";

/** Shows the examples whose numbers are in `chosen`; resolves after the last one. scores: grade by number. */
export function showExamples(scores, chosen) {
  byId("scores").hidden = true;
  byId("undo").hidden = true;
  byId("example").hidden = false;
  byId("badge").hidden = true;
  byId("left").textContent = "";
  byId("announce").textContent = "";
  return new Promise((resolve) => {
    let at = 0;
    let turn = 0;
    const url = (position) => address(`example/${chosen[position]}`);
    const show = async () => {
      const mine = ++turn;
      const score = scores[chosen[at]];
      const values = {score, grade: say(`score_${score}`), n: at + 1, total: chosen.length};
      blank();
      Object.assign(byId("progress"), {max: chosen.length, value: at});
      byId("done").textContent = say("example_of", values);
      byId("example-back").disabled = at === 0;
      byId("example-label").replaceChildren();
      const wanted = () => mine === turn;
      for (;;) {
        try {
          await showPicture(url(at), {alt: say("example_alt", values), pause: 150, wanted});
          break;
        } catch {
          notice(say("picture_failed"));
          await sleep(2000);
          if (!wanted()) return;
        }
      }
      if (!wanted()) return;
      notice(null);
      const label = element("strong", {textContent: say("example_label", values)});
      const hint = element("span", {id: "example-hint", textContent: at === 0 ? say("examples_keys") : ""});
      byId("example-label").replaceChildren(label, hint);
      byId("example-next").focus();
      if (at + 1 < chosen.length) preload(url(at + 1)).catch(() => {});
    };
    byId("example-back").onclick = () => {
      at = Math.max(0, at - 1);
      show();
    };
    byId("example-next").onclick = () => {
      at += 1;
      if (at < chosen.length) return show();
      turn += 1;
      blank();
      return resolve();
    };
    show();
  });
}
