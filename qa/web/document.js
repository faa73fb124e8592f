/** A document itself, at the quoted place: its text, its outline, the passages before and after. */

import { get, send } from "./api.js";
import { citationButtons } from "./answer.js";
import { placeWords } from "./cite.js";
import { fill, h } from "./dom.js";
import { day, t } from "./i18n.js";
import { placeLink } from "./links.js";
import { Reader } from "./reader.js";
import { Text } from "./spans.js";
import { show as showTrouble } from "./trouble.js";

/** @type {{step: (by: number) => boolean} | null} */
let shown = null;

/** @param {HTMLElement} main @param {URL} url @param {AbortSignal} signal @param {string} id */
export async function show(main, url, signal, id) {
  main.className = "document";
  shown = null;
  fill(main, h("p", { class: "quiet center", role: "status" }, t("loading")));
  try {
    const path = `v1/documents/${encodeURIComponent(id)}`;
    const [info, outline] = await Promise.all([get(path, {}, signal), get(`${path}/outline`, {}, signal)]);
    if (signal.aborted) return;
    document.title = `${info.title || info.path} · cited-qa`;
    shown = new View(main, info, outline, signal);
    await shown.open(spanOf(url, outline.characters));
  } catch (error) {
    showTrouble(main, error, () => show(main, url, signal, id), signal);
  }
}

/** @param {URL} url @param {number} most @returns {[number, number] | null} */
function spanOf(url, most) {
  const [start, end] = ["start", "end"].map((name) => Number.parseInt(url.searchParams.get(name) || "", 10));
  return start >= 0 && end > start && start < most ? [start, Math.min(end, most)] : null;
}

/** @param {KeyboardEvent} event @returns {boolean} */
export function onKey(event) {
  if (event.key === "n" || event.key === "j") return shown?.step(1) || false;
  if (event.key === "p" || event.key === "k") return shown?.step(-1) || false;
  return false;
}

class View {
  /** @param {HTMLElement} main @param {any} info @param {any} outline @param {AbortSignal} signal */
  constructor(main, info, outline, signal) {
    this.info = info;
    this.outline = outline;
    this.signal = signal;
    /** @type {[number, number] | null} */
    this.quoted = null;
    this.now = -1;
    const text = h("div", { class: "sheet", role: "region", "aria-label": t("documentText"), tabindex: "0" });
    this.reader = new Reader(text, info.id, outline, signal);
    this.tools = h("div", { class: "doctools" });
    this.contents = h("ol");
    const wide = matchMedia("(min-width: 60rem)").matches;
    const side = h("details", { class: "outline", open: wide }, h("summary", {}, t("outline")), this.contents);
    fill(main, this.heading(), h("div", { class: "columns" }, h("aside", {}, side), h("div", { class: "body" }, this.tools, text)));
    this.listHeadings();
  }

  heading() {
    const { info } = this;
    const warnings = info.warnings.map((warning) => {
      const hasSpan = warning.start !== null && warning.end > warning.start;
      const link = hasSpan ? placeLink({ document_id: info.id, start: warning.start, end: warning.end }) : null;
      return h("li", {}, link ? h("a", { href: link }, warning.text) : warning.text);
    });
    return h(
      "header", { class: "dochead" },
      h("h1", {}, info.title || info.path.split("/").pop()),
      h("p", { class: "place" }, h("span", {}, info.path), h("span", {}, info.collection), h("span", {}, t("read", day(info.read_at)))),
      warnings.length ? h("details", { class: "wary" }, h("summary", {}, t("warnings", warnings.length)), h("ul", {}, warnings)) : null,
    );
  }

  listHeadings() {
    const items = this.outline.headings.map(({ title, level, start, page }) => {
      const go = (event) => (event.preventDefault(), this.closeOnPhone(), this.reader.goTo(start));
      const link = h("a", { href: placeLink({ document_id: this.info.id, start, end: start + new Text(title).length }), on: { click: go } }, title);
      return h("li", { class: `level-${Math.min(level, 3)}` }, link, page ? h("span", { class: "quiet" }, page) : null);
    });
    fill(this.contents, items.length ? items : h("li", { class: "quiet" }, t("noOutline")));
  }

  closeOnPhone() {
    if (!matchMedia("(min-width: 60rem)").matches) this.contents.parentElement.open = false;
  }

  /** @param {[number, number] | null} span what is quoted; null opens the beginning */
  async open(span) {
    this.quoted = span;
    const { passages } = this.outline;
    this.now = span ? passages.findIndex(([, end]) => end > span[0]) : -1;
    await this.mark(span);
  }

  /** @param {[number, number] | null} span */
  async mark(span) {
    this.listTools(span);
    await this.reader.goTo(span ? span[0] : 0, span);
  }

  /** Mark the passage that stands `by` passages further. @param {number} by @returns {boolean} */
  step(by) {
    const { passages } = this.outline;
    const next = Math.min(Math.max(this.now + by, 0), passages.length - 1);
    if (next === this.now || !passages.length) return false;
    this.now = next;
    history.replaceState(history.state, "", placeLink({ document_id: this.info.id, start: passages[next][0], end: passages[next][1] }));
    this.mark(passages[next]);
    return true;
  }

  /** @param {[number, number] | null} span */
  listTools(span) {
    const { passages } = this.outline;
    const isAtQuote = !this.quoted || (span && span[0] === this.quoted[0] && span[1] === this.quoted[1]);
    const button = (label, by) =>
      h("button", { type: "button", disabled: this.now + by < 0 || this.now + by >= passages.length, on: { click: () => this.step(by) } }, label);
    const back = h("button", { type: "button", class: "quiet", on: { click: () => this.open(this.quoted) } }, t("toQuote"));
    fill(
      this.tools,
      h("p", { class: "doctitle", "aria-hidden": "true" }, this.info.title || this.info.path),
      h("div", { class: "steps" }, button(t("earlierPassage"), -1), button(t("laterPassage"), 1),
        this.now >= 0 ? h("span", { class: "quiet" }, t("passageOf", this.now + 1, passages.length)) : null, isAtQuote ? null : back),
      span ? h("div", { class: "copies" }) : null,
    );
    if (span) this.offerCopies(span);
  }

  /** @param {[number, number]} span */
  async offerCopies([start, end]) {
    const path = `v1/documents/${encodeURIComponent(this.info.id)}/text`;
    const quote = await (await send(path, { query: { start, end }, signal: this.signal })).text();
    const page = this.outline.pages.filter((found) => found.start <= start).at(-1)?.page ?? null;
    const cited = { document_id: this.info.id, path: this.info.path, title: this.info.title, heading_path: this.headingsAt(start), page, start, end, quote };
    const place = this.tools.querySelector(".copies");
    if (!place) return;
    fill(place, citationButtons(cited), h("span", { class: "quiet where" }, placeWords(cited).join(" › ")));
    place.title = t("noReference");
  }

  /** @param {number} offset @returns {string[]} */
  headingsAt(offset) {
    const path = /** @type {string[]} */ ([]);
    for (const { title, level, start } of this.outline.headings) {
      if (start > offset) break;
      path.length = level;
      path[level] = title;
    }
    return path.slice(1).filter(Boolean);
  }
}
