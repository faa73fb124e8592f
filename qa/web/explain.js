/** Why a passage stands where it stands, as a bar of its points; and why another document does not. */

import { get, post } from "./api.js";
import { nameOf, placeWords } from "./cite.js";
import { announce, fill, fragment, h } from "./dom.js";
import { figure, t } from "./i18n.js";
import { placeLink } from "./links.js";
import { show } from "./trouble.js";

// What a reader wants to tell apart; the API's points are finer.
const GROUPS = [
  ["terms", ["words", "clause words"]],
  ["meaning", ["meaning", "clause meaning"]],
  ["document", ["article"]],
  ["names", ["names"]],
  ["kind", ["clause kind"]],
  ["reranker", ["reranker"]],
];
const NOTABLE = 0.05;

/** @param {Record<string, number>} points @returns {[string, number][]} the groups that have points */
export function grouped(points) {
  return GROUPS.map(([name, parts]) => [name, parts.reduce((sum, part) => sum + (points[part] || 0), 0)]).filter(
    ([, sum]) => Math.abs(sum) >= 0.005,
  );
}

/** @param {Record<string, number>} points @param {number} [most] what the whole width stands for @returns {HTMLElement} */
function bar(points, most) {
  const groups = grouped(points);
  const total = groups.reduce((sum, [, value]) => sum + Math.max(0, value), 0);
  const words = groups.map(([name, value]) => `${t(`part.${name}`)} ${figure(value, 2)}`).join(t("comma"));
  const made = h("div", { class: "points", role: "img", "aria-label": words });
  for (const [name, value] of groups) {
    if (value <= 0) continue;
    const segment = h("span", { class: `part ${name}`, title: `${t(`part.${name}`)} +${figure(value, 2)}` });
    segment.style.flexGrow = String(value);
    made.append(segment);
  }
  made.style.width = `${Math.max(4, (100 * total) / (most || total || 1))}%`;
  return made;
}

/** @param {Record<string, number>} points @returns {HTMLElement} */
function legend(points) {
  const parts = grouped(points).map(([name, value]) =>
    h("li", {}, h("span", { class: `swatch ${name}` }), t(`part.${name}`), h("b", {}, `${value < 0 ? "−" : "+"}${figure(Math.abs(value), 2)}`)),
  );
  return h("ul", { class: "legend" }, parts);
}

/** @param {any} explain @returns {DocumentFragment} */
function wordLists(explain) {
  const lists = [["matched", explain.matched], ["inArticle", explain.in_article], ["missing", explain.missing]];
  return fragment(
    lists.filter(([, words]) => words.length).map(([name, words]) =>
      h("p", { class: `wordlist ${name}` }, h("span", {}, t(name)), words.map((word) => h("span", { class: "chip" }, word))),
    ),
  );
}

/** @param {any} explain @param {string} _query @returns {DocumentFragment} */
export function explained(explain, _query) {
  return fragment(bar(explain.points), legend(explain.points), wordLists(explain));
}

/** A form that names another document and compares it with the first passage. @param {string} query @param {AbortSignal} signal */
export function whyNotForm(query, signal) {
  const found = h("datalist", { id: "documents-found" });
  const input = h("input", {
    id: "why-not", type: "text", list: "documents-found", required: true, autocomplete: "off", placeholder: t("whyNotHint"),
  });
  const result = h("div", { class: "explain", "aria-live": "polite" });
  const form = h("form", {}, h("label", { for: "why-not" }, t("whyNotLabel")), h("div", { class: "row" }, input, h("button", {}, t("compare"))), found);
  const compare = async () => {
    try {
      const named = found.querySelector(`option[value="${CSS.escape(input.value)}"]`)?.dataset.id || input.value.trim();
      const response = await (await post("v1/why-not", { query, document: named }, signal)).json();
      fill(result, compared(response));
    } catch (error) {
      show(result, error, compare, signal);
    }
  };
  input.addEventListener("input", () => suggest(input, found, signal));
  input.addEventListener("focus", () => suggest(input, found, signal), { once: true });
  form.addEventListener("submit", (event) => (event.preventDefault(), compare()));
  return h("details", { class: "why whynot" }, h("summary", {}, t("whyNot")), form, result);
}

/** @param {HTMLInputElement} input @param {Element} list @param {AbortSignal} signal */
async function suggest(input, list, signal) {
  try {
    const page = await get("v1/documents", { q: input.value, limit: 20 }, signal);
    fill(list, page.documents.map((info) => h("option", { value: info.title || info.path, data: { id: info.id } }, info.path)));
  } catch {
    /* a path can still be typed */
  }
}

/** @param {any} response @returns {DocumentFragment} */
function compared(response) {
  const { first, best, rank, document_id: wanted } = response;
  const reasons = [];
  if (best && best.document_id !== wanted) reasons.push(t("standsFor", nameOf(best)));
  else if (rank === 1) reasons.push(t("isFirst"));
  if (!first || !best) reasons.push(t("nothingShared"));
  else if (first.passage_id !== best.passage_id) reasons.push(...differences(first.explain, best.explain, rank));
  announce(reasons[0] || "");
  const most = Math.max(first?.score || 0, best?.score || 0);
  const shown = [first && rank !== 1 && [t("firstPassage"), first], best && [rank ? t("rankIs", rank) : t("unranked"), best]];
  return fragment(
    shown.filter(Boolean).map(([label, standing]) =>
      h(
        "div", { class: "standing" },
        h("p", {}, h("b", {}, label), " ", h("a", { href: placeLink(standing) }, nameOf(standing)), " ", h("span", { class: "quiet" }, placeWords(standing).join(" · "))),
        bar(standing.explain.points, most), legend(standing.explain.points), wordLists(standing.explain),
      ),
    ),
    h("ul", { class: "reasons" }, reasons.map((reason) => h("li", {}, reason))),
  );
}

/** @param {any} one the first's parts @param {any} other @param {number | null} rank @returns {string[]} */
function differences(one, other, rank) {
  const points = [Object.fromEntries(grouped(one.points)), Object.fromEntries(grouped(other.points))];
  const leads = GROUPS.map(([name]) => [name, (points[0][name] || 0) - (points[1][name] || 0)]);
  leads.sort((a, b) => b[1] - a[1]);
  const lacking = one.matched.filter((term) => !other.matched.includes(term));
  const found = rank ? [] : [t("notCandidate")];
  for (const [name, lead] of leads) {
    if (lead >= NOTABLE) found.push(`${t(`ahead.${name}`)} (+${figure(lead, 2)})`);
    if (lead >= NOTABLE && name === "terms" && lacking.length) found.push(t("lacks", lacking.join(t("listComma"))));
  }
  const favours = leads.filter(([, lead]) => lead <= -NOTABLE).map(([name, lead]) => `${t(`part.${name}`)} +${figure(-lead, 2)}`);
  if (favours.length) found.push(t("favours", favours.join(t("listComma"))));
  return found;
}
