// Requests to the server. Nothing is given up: what the rater did is sent again until the server has acknowledged it.
import {byId, say} from "./texts.js";

const PATIENCE = 15000; // milliseconds until a request counts as lost
const WAITS = [300, 700, 1500, 3000]; // milliseconds between attempts

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export function address(path) {
  return `${location.pathname.replace(/\/$/, "")}/${path}`;
}

export function notice(sentence) {
  const place = byId("notice");
  place.hidden = !sentence;
  place.textContent = sentence ?? "";
}

async function once(path, body) {
  const options = {cache: "no-store", signal: AbortSignal.timeout(PATIENCE)};
  if (body) {
    options.method = "POST";
    options.headers = {"Content-Type": "application/json", "X-Study": "1"};
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(address(path), options);
  // The server is being restarted or is overloaded, or a proxy answers in its place: the same request again, later.
  if (answer.status >= 500 || answer.status === 429) throw new Error(`status ${answer.status}`);
  return {status: answer.status, ...(await answer.json())};
}

/** Posts `body`, or gets where there is none; waits out a lost connection. Gives the server's words with {status, retried}. */
export async function send(path, body) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      const answer = await once(path, body);
      if (attempt > 1) notice(null);
      return {...answer, retried: attempt > 0};
    } catch {
      if (attempt > 0) notice(say("offline")); // one lost request is no news
      await sleep(WAITS[Math.min(attempt, WAITS.length - 1)]);
    }
  }
}
