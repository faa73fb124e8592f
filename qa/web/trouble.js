/** What is shown when something doesn't work: what happened, what is being done about it, what to do. */

import { Trouble, pause, ready } from "./api.js";
import { announce, fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { askForKey } from "./keys.js";

/**
 * Say what is wrong in `place` and try again when that makes sense.
 * @param {Element} place @param {unknown} error @param {() => void} again @param {AbortSignal} signal ends all tries
 */
export async function show(place, error, again, signal) {
  if (signal.aborted || (error instanceof DOMException && error.name === "AbortError")) return;
  if (!(error instanceof Trouble)) throw error;
  const retry = h("button", { type: "button", on: { click: again } }, t("again"));
  if (error.kind === "key" || error.kind === "forbidden") {
    const enter = h("button", { type: "button", on: { click: () => askForKey(again) } }, t("enterKey"));
    say(place, t(error.kind === "key" ? "needsKey" : "needsAdminKey"), "", enter);
    askForKey(again);
    return;
  }
  if (error.kind === "busy") return wait(place, error.waitS || 5, retry, again, signal);
  if (error.kind !== "gone" && error.kind !== "starting") {
    say(place, t(error.kind === "missing" ? "notThere" : error.kind === "refused" ? "refused" : "broken"), error.message, retry);
    return;
  }
  const tell = (trouble) => {
    const isGone = trouble.kind === "gone";
    say(place, t(isGone ? "gone" : "starting"), isGone ? t("goneMore") : trouble.message, retry);
  };
  tell(error);
  try {
    await ready(signal, tell);
    again();
  } catch (stopped) {
    if (!signal.aborted) throw stopped;
  }
}

/** @param {Element} place @param {number} seconds @param {Node} retry @param {() => void} again @param {AbortSignal} signal */
async function wait(place, seconds, retry, again, signal) {
  say(place, t("busy"), t("busyMore", seconds), retry);
  const line = place.querySelector(".detail");
  try {
    for (let left = seconds; left > 0; left--) {
      line.textContent = t("busyMore", left);
      await pause(1000, signal);
    }
    again();
  } catch (stopped) {
    if (!signal.aborted) throw stopped;
  }
}

/** @param {Element} place @param {string} title @param {string} detail @param {Node} action */
function say(place, title, detail, action) {
  // Said again and again while waiting, but heard once.
  if (place.querySelector(".trouble strong")?.textContent !== title) announce(`${title} ${detail}`);
  const line = place.querySelector(".trouble .detail");
  if (line && place.querySelector(".trouble strong")?.textContent === title) {
    line.textContent = detail;
    return;
  }
  fill(place, h("div", { class: "trouble" }, h("strong", {}, title), h("p", { class: "detail" }, detail), action));
}
