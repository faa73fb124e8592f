/** The answer: its value first, then the words it was found in, then where they stand. */

import { asMarkdown, asReference, asText, nameOf } from "./cite.js";
import { copyButton, fragment, h } from "./dom.js";
import { placeLine, wary } from "./hits.js";
import { figure, t } from "./i18n.js";
import { address, answerLink, placeLink } from "./links.js";
import { layered, spansOf } from "./spans.js";
import { whole } from "./turns.js";

/** @param {any} response @returns {HTMLElement} */
export function answerCard(response) {
  const { answer } = response;
  return h(
    "section", { class: `answer ${answer ? answer.kind : "none"}`, "aria-label": t("answer") },
    interpretation(response),
    answer ? found(response) : notFound(response),
    answer && sources(response),
    actions(response),
  );
}

/** @param {any} response @returns {HTMLElement | null} */
function interpretation(response) {
  return response.interpreted_as ? h("p", { class: "understood" }, t("understood", response.interpreted_as)) : null;
}

/** @param {any} response @returns {DocumentFragment} */
function found({ answer, citations }) {
  const value = answer.value && h("p", { class: "value" }, answer.value);
  const body = answer.kind === "extractive" ? quotes(answer, citations) : written(answer, citations);
  return fragment(fallback(answer), value, body);
}

/** What a model was to write and didn't. @param {any} answer */
function fallback(answer) {
  return answer.fallback ? h("p", { class: "wary" }, t("fallback", t(`failure.${answer.fallback.reason}`))) : null;
}

/** @param {any} answer @param {any[]} citations */
function quotes(answer, citations) {
  const items = citations.map((cited) =>
    layered(cited.quote, cited.start, [
      { spans: cited.damaged, make: () => h("span", { class: "damaged", title: t("damaged") }) },
      { spans: valueSpans(cited, answer.value), make: () => h("strong") },
    ]),
  );
  if (items.length === 1) return h("blockquote", {}, items[0], mark(citations[0]));
  return h("ul", { class: "parts" }, items.map((item, n) => h("li", {}, item, mark(citations[n]))));
}

/** @param {any} cited @param {string | null} value @returns {[number, number][]} */
function valueSpans(cited, value) {
  return value ? spansOf(cited.quote, value).map(([start, end]) => [start + cited.start, end + cited.start]) : [];
}

/** The superscript that leads to a citation. @param {any} cited */
function mark(cited) {
  return h("a", { class: "ref", href: placeLink(cited), "aria-label": t("source", cited.n, nameOf(cited)), title: nameOf(cited) }, cited.n);
}

/** A model's answer, its [n] as links, what no source supports marked. @param {any} answer @param {any[]} citations @returns {HTMLElement} */
export function written(answer, citations) {
  const unsupported = answer.unsupported || [];
  const text = layered(answer.text, 0, [
    { spans: unsupported.map(({ start, end }) => [start, end]), make: () => h("span", { class: "unsupported" }) },
    { spans: answer.value ? spansOf(answer.text, answer.value) : [], make: () => h("strong") },
  ]);
  const made = h("div", { class: "written" }, text);
  linkMarks(made, citations);
  for (const part of made.querySelectorAll(".unsupported")) part.title = t("unsupported");
  if (!unsupported.length) return made;
  const reasons = unsupported.map((part) => h("li", {}, h("q", {}, part.text), " — ", t(`doubt.${part.reason}`), part.what.length ? `: ${part.what.join(t("listComma"))}` : ""));
  return h("div", {}, made, h("div", { class: "wary" }, t("unsupportedMore", unsupported.length), h("ul", {}, reasons)));
}

/** Make links of each [n] in the text below `root`. @param {HTMLElement} root @param {any[]} citations */
function linkMarks(root, citations) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  for (const text of texts) {
    const parts = text.textContent.split(/(\[\d+\])/);
    if (parts.length === 1) continue;
    const nodes = parts.map((part) => {
      const cited = /^\[\d+\]$/.test(part) && citations.find(({ n }) => n === Number(part.slice(1, -1)));
      return cited ? mark(cited) : document.createTextNode(part);
    });
    text.replaceWith(...nodes);
  }
}

const REASONS = { no_hits: "noHits", low_confidence: "lowConfidence", missing_terms: "missingTerms", no_quantity: "noQuantity" };

/** @param {any} response @returns {DocumentFragment} */
function notFound(response) {
  const missing = response.missing_terms.length ? response.missing_terms : response.hits[0]?.explain?.missing || [];
  return fragment(
    h("p", { class: "value" }, t("notFound")),
    h("p", {}, t(REASONS[response.reason] || "noHits")),
    missing.length
      ? h("p", { class: "wordlist missing" }, h("span", {}, t(response.missing_terms.length ? "nowhere" : "notNear")), missing.map((word) => h("span", { class: "chip" }, word)))
      : null,
  );
}

/** @param {any} response @returns {HTMLElement} */
function sources({ citations, answer }) {
  const items = citations.map((cited) =>
    h(
      "li", { value: cited.n },
      h("a", { href: placeLink(cited), class: "title" }, nameOf(cited)),
      placeLine(cited),
      answer.kind === "extractive" ? null : h("p", { class: "quote" }, cited.quote),
      wary(cited),
      h("div", { class: "copies" }, citationButtons(cited)),
    ),
  );
  return h("ol", { class: "sources", "aria-label": t("sources") }, items);
}

/** @param {import("./cite.js").Cited} cited @returns {Node[]} */
export function citationButtons(cited) {
  return [
    h("span", { class: "label" }, t("copyCitation")),
    copyButton(t("asText"), () => asText(cited), t("copied")),
    copyButton("Markdown", () => asMarkdown(cited), t("copied")),
    copyButton("GB/T 7714", () => asReference(cited), t("copied")),
  ];
}

/** @param {any} response @returns {HTMLElement} */
function actions(response) {
  const link = answerLink(whole(response));
  const onMap = address("map", { q: whole(response) });
  return h(
    "footer", { class: "actions" },
    copyButton(t("copyLink"), () => link.href, t("copied")),
    response.hits.length ? h("a", { href: onMap }, t("onMap")) : null,
    h("span", { class: "took" }, t("took", duration(response.timings_ms.total), figure(response.index.passages))),
  );
}

/** @param {number} ms */
function duration(ms) {
  return ms < 1000 ? `${figure(ms, ms < 10 ? 1 : 0)} ms` : `${figure(ms / 1000, 1)} s`;
}
