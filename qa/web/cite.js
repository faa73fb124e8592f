/** A quote as it is copied: as text, as Markdown, as a reference after GB/T 7714-2015. */

import { t } from "./i18n.js";
import { placeLink } from "./links.js";

/**
 * @typedef {{document_id: string, path: string, title: string, heading_path?: string[], page: number | null,
 *   paragraph?: number | null, start: number, end: number, quote: string}} Cited
 */

/** Where a passage stands, for people: headings, paragraph, page. @param {any} place @returns {string[]} */
export function placeWords(place) {
  const words = [...(place.heading_path || [])];
  if (place.paragraph) words.push(t("paragraph", place.paragraph));
  if (place.page) words.push(t("page", place.page));
  return words;
}

/** @param {{title: string, path: string}} place @returns {string} */
export function nameOf(place) {
  return place.title || place.path.split("/").pop() || place.path;
}

/** @param {Cited} cited @returns {string} */
export function asText(cited) {
  const where = [...placeWords(cited), cited.path].join(t("comma"));
  return `“${cited.quote}”\n——《${nameOf(cited)}》${t("comma")}${where}\n${placeLink(cited)}`;
}

/** @param {Cited} cited @returns {string} */
export function asMarkdown(cited) {
  const quote = cited.quote.split(/\r?\n/).map((line) => `> ${escaped(line)}`).join("\n");
  const where = placeWords(cited).map(escaped).join(t("comma"));
  return `${quote}\n>\n> — [${escaped(nameOf(cited))}](${placeLink(cited)})${where && `${t("comma")}${where}`}`;
}

/** @param {string} text @returns {string} */
function escaped(text) {
  return text.replace(/[\\`*_[\]<>#|]/g, "\\$&");
}

/**
 * GB/T 7714-2015, 4.6 (electronic documents): title[type/medium]: page. [day of citation]. address.
 *
 * Author, publisher and date are not known of an indexed file, so they are left out rather than guessed.
 * @param {Cited} cited @param {Date} [today] @returns {string}
 */
export function asReference(cited, today = new Date()) {
  const day = [today.getFullYear(), today.getMonth() + 1, today.getDate()].map((part) => String(part).padStart(2, "0"));
  const page = cited.page ? `: ${cited.page}` : "";
  return `${nameOf(cited)}[Z/OL]${page}. [${day.join("-")}]. ${placeLink(cited)}.`;
}
