/** The map: what is near in meaning stands near; the nearest to a question are lit. */

import { get, post } from "./api.js";
import { nameOf } from "./cite.js";
import { fill, h } from "./dom.js";
import { figure, t } from "./i18n.js";
import { documentLink, go, placeLink } from "./links.js";
import { Chart, colour } from "./chart.js";
import { show as showTrouble } from "./trouble.js";

const LIT = 10;
const MAX_LISTED = 200;
/** @type {Chart | null} */
let chart = null;

/** @param {HTMLElement} main @param {URL} url @param {AbortSignal} signal */
export async function show(main, url, signal) {
  document.title = `${t("nav.map")} · cited-qa`;
  main.className = "map";
  chart = null;
  fill(main, h("h1", { class: "unseen" }, t("nav.map")), h("p", { class: "waiting", role: "status" }, t("mapDrawing")));
  const query = (url.searchParams.get("q") || "").trim();
  try {
    const hits = query ? (await (await post("v1/search", { query, top_k: LIT }, signal)).json()).hits : [];
    const path = new URLSearchParams(hits.map((hit) => ["passage_id", hit.passage_id]));
    const found = await get(`v1/map?${path}`, {}, signal);
    if (!signal.aborted) draw(main, found, query, hits, signal);
  } catch (error) {
    showTrouble(main, error, () => show(main, url, signal), signal);
  }
}

/** @param {HTMLElement} main @param {any} found @param {string} query @param {any[]} hits @param {AbortSignal} signal */
function draw(main, found, query, hits, signal) {
  const { documents, points, total } = found;
  if (!points.length) return fill(main, h("p", { class: "quiet center" }, t("mapEmpty")));
  const passages = new Set(hits.map((hit) => hit.passage_id));
  const ids = new Set(hits.map((hit) => hit.document_id));
  const lit = points.map((point) => (point.passage_id ? passages.has(point.passage_id) : ids.has(documents[point.document].id)));
  const tip = h("div", { class: "tip", hidden: true });
  const canvas = h("canvas", { tabindex: "0", role: "img", "aria-label": t("mapLabel", figure(points.length)) });
  const groups = groupsOf(documents, points);
  const labels = points.map((point) => point.heading || nameOf(documents[point.document]));
  chart = new Chart(canvas, points, groups.of, lit, labels, signal);
  chart.onHover = (n, x, y) => hover(tip, n < 0 ? null : points[n], documents, x, y);
  chart.onOpen = (n) => open(points[n], documents);
  const button = (label, text, act) => h("button", { type: "button", "aria-label": label, title: label, on: { click: act } }, text);
  const zoom = h("div", { class: "zoom" }, button(t("zoomIn"), "+", () => chart.zoom(1.5)), button(t("zoomOut"), "−", () => chart.zoom(1 / 1.5)), button(t("zoomAll"), "⤢", () => chart.reset()));
  fill(
    main,
    h("h1", { class: "unseen" }, t("nav.map")),
    h("div", { class: "plane" }, canvas, tip, zoom),
    h("div", { class: "maplegend" },
      h("p", { class: "quiet" }, t("mapLead"), points.length < total ? ` ${t("mapSample", figure(points.length), figure(total))}` : ""),
      query ? h("p", { class: "lit" }, t("mapLit", query, figure(lit.filter(Boolean).length))) : null,
      h("h2", {}, t("mapList")),
      list(documents, groups, ids)),
  );
  chart.resize();
}

/**
 * What shares a colour: a document's passages, or the documents of a collection where documents are the dots.
 * @param {any[]} documents @param {any[]} points @returns {{of: number[], number: (document: number) => number}}
 */
function groupsOf(documents, points) {
  const isPassages = points.some((point) => point.passage_id);
  const collections = [...new Set(documents.map((info) => info.collection))];
  const number = (/** @type {number} */ document) => (isPassages ? document : collections.indexOf(documents[document].collection));
  return { of: points.map((point) => number(point.document)), number };
}

/** The map for those who don't see it, and a legend for those who do. @param {any[]} documents @param {any} groups @param {Set<string>} lit */
function list(documents, groups, lit) {
  const order = documents.map((_, n) => n).sort((a, b) => Number(lit.has(documents[b].id)) - Number(lit.has(documents[a].id)));
  const items = order.slice(0, MAX_LISTED).map((n) => {
    const swatch = h("span", { class: "swatch" });
    swatch.style.background = colour(groups.number(n));
    const show = () => chart?.only(groups.number(n));
    const all = () => chart?.only(-1);
    const link = h("a", { href: documentLink(documents[n].id), on: { focus: show, blur: all, mouseenter: show, mouseleave: all } }, nameOf(documents[n]));
    return h("li", { class: lit.has(documents[n].id) ? "lit" : "" }, swatch, link);
  });
  return h("ul", { class: "mapdocs" }, items);
}

/** @param {HTMLElement} tip @param {any} point @param {any[]} documents @param {number} x @param {number} y */
function hover(tip, point, documents, x, y) {
  tip.hidden = !point;
  if (!point) return;
  fill(tip, h("b", {}, nameOf(documents[point.document])), point.text ? h("span", {}, `${point.text}…`) : null);
  const room = tip.parentElement.clientWidth - tip.offsetWidth - 8;
  tip.style.transform = `translate(${Math.max(4, Math.min(x + 14, room))}px, ${y + 14}px)`;
}

/** @param {any} point @param {any[]} documents */
function open(point, documents) {
  const { id } = documents[point.document];
  go(point.passage_id ? placeLink({ document_id: id, start: point.start, end: point.end }) : documentLink(id));
}

/** @param {KeyboardEvent} event @returns {boolean} */
export function onKey(event) {
  const step = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  if (!chart || (step && document.activeElement?.tagName !== "CANVAS")) return false;
  if (step) chart.move(step[0] * 40, step[1] * 40);
  else if (event.key === "+" || event.key === "=") chart.zoom(1.3);
  else if (event.key === "-") chart.zoom(1 / 1.3);
  else if (event.key === "0") chart.reset();
  else return false;
  return true;
}
