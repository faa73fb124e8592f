/** Asking: the box, the answer under it, and what was asked before. */

import { answerCard, written } from "./answer.js";
import { ask, get } from "./api.js";
import { announce, fill, h } from "./dom.js";
import { hitList } from "./hits.js";
import { whyNotForm } from "./explain.js";
import { figure, t } from "./i18n.js";
import { moveFocus } from "./keys.js";
import { answerLink, go } from "./links.js";
import { show } from "./trouble.js";
import * as turns from "./turns.js";

const SLOW_MS = 400;
const VERY_SLOW_MS = 5000;
const TOP_K = 8;
const MAX_QUERY_CHARS = 4000;

/** @param {HTMLElement} main @param {URL} url @param {AbortSignal} signal ends when another view is shown */
export function showAsk(main, url, signal) {
  const query = (url.searchParams.get("q") || "").trim();
  document.title = query ? `${query} · cited-qa` : "cited-qa";
  const result = h("div", { class: "result" });
  const box = askBox(query);
  if (query) {
    main.className = "asked";
    fill(main, box, earlier(query), result);
    const known = turns.find(history.state?.turn);
    if (known && known.query === query) finish(result, known, signal);
    else answerTo(query, result, signal);
  } else {
    main.className = "home";
    fill(main, h("h1", {}, t("title")), h("p", { class: "lead" }, t("lead")), box, result);
    welcome(result, signal);
    if (matchMedia("(hover: hover)").matches) box.querySelector("textarea").focus();
  }
}

/** @param {string} query @returns {HTMLFormElement} */
function askBox(query) {
  const input = h("textarea", {
    id: "q", name: "q", rows: 1, maxLength: MAX_QUERY_CHARS, value: query, placeholder: t("askHint"), required: true,
    autocomplete: "off", enterKeyHint: "search", spellcheck: false,
  });
  const form = h(
    "form", { class: "ask", role: "search", action: "" },
    h("label", { for: "q", class: "unseen" }, t("ask")), input, h("button", { class: "main" }, t("ask")),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const asked = input.value.trim().replace(/\s+/g, " ");
    if (asked) go(answerLink(asked));
  });
  input.addEventListener("keydown", (event) => {
    // Enter also ends the choice of a character in a Chinese input method; then it does not ask.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  return form;
}

/** What can be asked. @param {HTMLElement} place @param {AbortSignal} signal */
async function welcome(place, signal) {
  try {
    const [examples, status] = await Promise.all([get("v1/examples", {}, signal), get("readyz", {}, signal)]);
    const links = examples.questions.map((text) => h("li", {}, h("a", { href: answerLink(text) }, text)));
    fill(
      place,
      links.length ? h("section", { class: "examples" }, h("h2", {}, t("examples")), h("ul", {}, links)) : null,
      h("p", { class: "quiet center" }, t("holds", figure(status.index.passages))),
    );
  } catch (error) {
    show(place, error, () => welcome(place, signal), signal);
  }
}

/** Earlier turns, the latest first. @param {string} query @returns {HTMLElement | null} */
function earlier(query) {
  const others = turns.all().filter((turn) => turn.query !== query).reverse();
  if (!others.length) return null;
  const items = others.map((turn) => {
    const { answer } = turn.response;
    const short = answer ? answer.value || answer.text : t("notFound");
    const link = h("a", { href: answerLink(turn.query), data: { turn: turn.id } }, turn.query);
    return h("li", {}, link, h("span", { class: "quiet" }, short.length > 40 ? `${short.slice(0, 40)}…` : short));
  });
  const restart = h("button", { type: "button", class: "quiet", on: { click: () => (turns.clear(), document.querySelector(".earlier")?.remove()) } }, t("forget"));
  return h("details", { class: "earlier" }, h("summary", {}, t("earlier", others.length)), h("ul", {}, items), restart);
}

/** @param {string} query @param {HTMLElement} place @param {AbortSignal} signal */
async function answerTo(query, place, signal) {
  const request = new AbortController();
  signal.addEventListener("abort", () => request.abort(), { once: true });
  const timers = waiting(place, () => request.abort());
  let text = "";
  try {
    const history = turns.history().filter((turn) => turn.question !== query);
    const response = await ask({ query, top_k: TOP_K, explain: true, history }, request.signal, {
      sources: (found) => (timers.stop(), streaming(place, found)),
      delta: (part, replace) => {
        text = replace ? part : text + part;
        stream(place, text);
      },
    });
    performance.mark("answered");
    const turn = turns.push(query, response);
    window.history.replaceState({ ...window.history.state, turn: turn.id }, "");
    finish(place, turn, signal);
    // The frame that shows it is drawn first.
    requestAnimationFrame(() => setTimeout(() => performance.measure("answer-shown", "answered")));
  } catch (error) {
    if (request.signal.aborted && !signal.aborted) fill(place, h("p", { class: "quiet center" }, t("stopped")));
    else await show(place, error, () => answerTo(query, place, signal), signal);
  } finally {
    timers.stop();
  }
}

/** Say that it takes a moment, and then that it takes long. @param {HTMLElement} place @param {() => void} stop */
function waiting(place, stop) {
  place.setAttribute("aria-busy", "true");
  const note = h("p", {}, t("searching"));
  const first = setTimeout(() => fill(place, h("div", { class: "waiting", role: "status" }, h("div", { class: "skeleton" }), note)), SLOW_MS);
  const second = setTimeout(() => {
    note.textContent = t("slow");
    note.append(" ", h("button", { type: "button", on: { click: stop } }, t("stop")));
  }, VERY_SLOW_MS);
  return {
    stop: () => (clearTimeout(first), clearTimeout(second), place.removeAttribute("aria-busy")),
  };
}

/** The passages, while the answer is being written. @param {HTMLElement} place @param {any} found */
function streaming(place, found) {
  place.setAttribute("aria-busy", "true");
  fill(
    place,
    h("section", { class: "answer streaming" }, h("div", { class: "written" }, h("span", { class: "caret" }))),
    hitList(found.hits, t("passages"), found.query),
  );
  place.streamed = found;
}

/** @param {HTMLElement} place @param {string} text */
function stream(place, text) {
  const old = place.querySelector(".answer.streaming");
  if (!old) return;
  fill(old, written({ text, value: null }, place.streamed.citations), h("span", { class: "caret" }));
}

/** @param {HTMLElement} place @param {import("./turns.js").Turn} turn @param {AbortSignal} signal */
function finish(place, turn, signal) {
  const { response } = turn;
  place.removeAttribute("aria-busy");
  fill(
    place,
    answerCard(response),
    response.hits.length ? hitList(response.hits, t(response.answer ? "passages" : "nearest"), response.query) : null,
    response.hits.length ? whyNotForm(turns.whole(response), signal) : null,
  );
  if (history.state?.focus >= 0) /** @type {HTMLElement} */ (place.querySelectorAll(".hit")[history.state.focus])?.focus();
  announce(response.answer ? t("answerIs", response.answer.value || response.answer.text) : t("notFound"));
}

/** Keys of this view. @param {KeyboardEvent} event @param {HTMLElement} main @returns {boolean} whether it was one */
export function onKey(event, main) {
  const hits = /** @type {HTMLElement[]} */ ([...main.querySelectorAll(".hit")]);
  const now = hits.find((hit) => hit.contains(document.activeElement));
  if (event.key === "j" || event.key === "ArrowDown") return hits.length > 0 && moveFocus(hits, 1);
  if (event.key === "k" || event.key === "ArrowUp") return Boolean(now) && moveFocus(hits, -1);
  if (event.key === "e" && now) {
    const why = now.querySelector("details.why");
    if (why) why.open = !why.open;
    return Boolean(why);
  }
  if (event.key !== "Enter" || !now || document.activeElement !== now) return false;
  // Whoever comes back finds the focus where it was.
  history.replaceState({ ...history.state, focus: hits.indexOf(now) }, "");
  go(now.dataset.href);
  return true;
}
