/** The ranked passages below an answer. */

import { placeWords, nameOf } from "./cite.js";
import { fragment, h } from "./dom.js";
import { explained } from "./explain.js";
import { day, t } from "./i18n.js";
import { placeLink } from "./links.js";
import { layered } from "./spans.js";

/** @param {any} place @returns {HTMLElement} */
export function placeLine(place) {
  const parts = placeWords(place).map((word) => h("span", {}, word));
  return h("p", { class: "place" }, parts, h("span", { class: "path", title: place.path }, place.path.split("/").pop()));
}

/** What to be wary of. @param {any} place @returns {HTMLElement | null} */
export function wary(place) {
  if (!place.stale) return null;
  return h("p", { class: "wary" }, t("stale", place.read_at ? day(place.read_at) : "?"));
}

/** @param {any[]} hits @param {string} title @param {string} query @returns {HTMLElement} */
export function hitList(hits, title, query) {
  return h(
    "section", { class: "hits", "aria-label": title },
    h("h2", {}, title),
    h("ol", {}, hits.map((hit) => h("li", {}, hitCard(hit, query)))),
  );
}

/** @param {any} hit @param {string} query @returns {HTMLElement} */
function hitCard(hit, query) {
  const best = hit.highlights.length ? { start: hit.highlights[0][0], end: hit.highlights.at(-1)[1] } : hit;
  const link = placeLink({ document_id: hit.document_id, start: best.start, end: best.end });
  const text = layered(hit.text, hit.start, [
    { spans: hit.highlights, make: () => h("mark") },
    { spans: hit.damaged, make: () => h("span", { class: "damaged", title: t("damaged") }) },
  ]);
  const why = hit.explain ? whyThis(hit, query) : null;
  return h(
    "article", { class: "hit", tabindex: "-1", "aria-label": `${hit.rank}. ${nameOf(hit)}`, data: { href: link.href } },
    h("header", {}, h("span", { class: "rank", "aria-hidden": "true" }, hit.rank), h("h3", {}, h("a", { href: link }, nameOf(hit)))),
    placeLine(hit),
    h("p", { class: "text" }, text),
    wary(hit),
    alsoIn(hit),
    why,
  );
}

/** @param {any} hit @param {string} query @returns {HTMLElement} */
function whyThis(hit, query) {
  const body = h("div", { class: "explain" });
  const made = h("details", { class: "why" }, h("summary", {}, t("whyThis")), body);
  made.addEventListener("toggle", () => made.open && !body.firstChild && body.append(explained(hit.explain, query)), { once: true });
  return made;
}

/** @param {any} hit @returns {DocumentFragment | null} */
function alsoIn(hit) {
  if (!hit.also_in.length) return null;
  const links = hit.also_in.map((copy) => h("a", { href: placeLink(copy) }, copy.path.split("/").pop()));
  return fragment(h("p", { class: "also" }, t("alsoIn"), links));
}
