/** The text of a document in parts: what is near the reader is loaded, the rest is not, however long it is. */

import { send } from "./api.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { layered, size } from "./spans.js";
import { show as showTrouble } from "./trouble.js";

const PART_CHARS = 12000;
const BEFORE_CHARS = 3000;

/** @typedef {{start: number, end: number, text: string, element: HTMLElement}} Part offsets in code points */

export class Reader {
  /**
   * @param {HTMLElement} place @param {string} id of the document
   * @param {{characters: number, headings: any[], pages: {page: number, start: number}[]}} outline @param {AbortSignal} signal
   */
  constructor(place, id, outline, signal) {
    this.place = place;
    this.path = `v1/documents/${encodeURIComponent(id)}/text`;
    this.outline = outline;
    this.signal = signal;
    /** @type {Part[]} in order, without gaps */
    this.parts = [];
    /** @type {[number, number] | null} */
    this.marked = null;
    this.generation = 0;
    this.edges = new IntersectionObserver((seen) => this.onEdge(seen), { rootMargin: "1500px" });
    signal.addEventListener("abort", () => this.edges.disconnect(), { once: true });
    this.top = h("div", { class: "edge" });
    this.bottom = h("div", { class: "edge" });
  }

  /** Show the text at `offset`, with a span marked. @param {number} offset @param {[number, number] | null} [span] */
  async goTo(offset, span = this.marked) {
    this.marked = span;
    const inside = this.parts.find(({ start, end }) => start <= offset && offset < end);
    if (!inside || (span && span[1] > this.parts.at(-1).end)) await this.restart(offset);
    else this.remark();
    const target = (span && span[0] === offset && this.place.querySelector("mark")) || this.lineAt(offset);
    if (!target) return;
    const isQuote = target.tagName === "MARK";
    target.scrollIntoView({ block: isQuote ? "center" : "start" });
    if (isQuote) target.focus({ preventScroll: true });
  }

  /** @param {number} offset */
  async restart(offset) {
    const generation = ++this.generation;
    this.edges.disconnect();
    const first = await this.load(Math.max(0, offset - BEFORE_CHARS), offset + PART_CHARS, { head: true, tail: true });
    if (generation !== this.generation) return;
    this.parts = [first];
    this.place.replaceChildren(this.top, first.element, this.bottom);
    settle(first.element);
    this.edges.observe(this.top);
    this.edges.observe(this.bottom);
  }

  /**
   * Load [start, end), less the pieces of lines at its ends where that is asked for.
   * @param {number} start @param {number} end @param {{head: boolean, tail: boolean}} trims @returns {Promise<Part>}
   */
  async load(start, end, trims) {
    const last = Math.min(this.outline.characters, end);
    let text = await (await send(this.path, { query: { start, end: last }, signal: this.signal })).text();
    let first = start;
    if (trims.head && start > 0) {
      const line = text.indexOf("\n") + 1;
      if (line > 0 && line < BEFORE_CHARS / 2) {
        first += size(text.slice(0, line));
        text = text.slice(line);
      }
    }
    if (trims.tail && last < this.outline.characters) {
      const line = text.lastIndexOf("\n") + 1;
      if (line > text.length / 2) text = text.slice(0, line);
    }
    const part = { start: first, end: first + size(text), text, element: h("div", { class: "chunk" }) };
    this.draw(part);
    return part;
  }

  /** @param {Part} part */
  draw(part) {
    let offset = part.start;
    const lines = [];
    const whole = part.text.endsWith("\n") ? part.text.slice(0, -1) : part.text;
    for (const line of whole.split("\n")) {
      const length = size(line);
      lines.push(...this.line(line, offset, length));
      offset += length + 1;
    }
    part.element.replaceChildren(...lines);
  }

  /** @param {string} line @param {number} start @param {number} length @returns {HTMLElement[]} */
  line(line, start, length) {
    const made = [];
    const { headings, pages } = this.outline;
    for (const { page } of within(pages, start, start + length + 1)) {
      made.push(h("div", { class: "pagebreak", role: "separator", "aria-label": t("page", page) }, t("page", page)));
    }
    // A title that was put together from several places is not this line's.
    const heading = within(headings, start, start + Math.max(length, 1)).find(({ title }) => length <= title.length + 12);
    const shown = line.replace(/[\r\f]/g, " ");
    if (!shown.trim()) return [...made, h("p", { class: "blank", data: { start } })];
    const level = heading ? Math.min(heading.level, 3) : null;
    const props = { class: heading ? `line heading level-${level}` : "line", data: { start } };
    const spans = this.marked ? [this.marked] : [];
    const content = layered(shown, start, [{ spans, make: () => h("mark", { tabindex: "-1" }) }]);
    return [...made, h("p", heading ? { ...props, role: "heading", "aria-level": level + 2 } : props, content)];
  }

  /** Draw again the parts that hold marks or are to. */
  remark() {
    for (const part of this.parts) {
      const isMarked = this.marked && this.marked[0] < part.end && part.start < this.marked[1];
      if (isMarked || part.element.querySelector("mark")) this.draw(part);
    }
  }

  /** @param {number} offset @returns {HTMLElement | null} */
  lineAt(offset) {
    const lines = /** @type {HTMLElement[]} */ ([...this.place.querySelectorAll("[data-start]")]);
    return lines.filter((line) => Number(line.dataset.start) <= offset).at(-1) || null;
  }

  /** @param {IntersectionObserverEntry[]} seen */
  async onEdge(seen) {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting || !this.parts.length) continue;
      try {
        await this.extend(target === this.top);
      } catch (error) {
        showTrouble(target, error, () => (target.replaceChildren(), this.watchAgain(target)), this.signal);
      }
    }
  }

  /** @param {boolean} isUp */
  async extend(isUp) {
    const edge = isUp ? this.top : this.bottom;
    const bound = isUp ? this.parts[0].start : this.parts.at(-1).end;
    if (isUp ? bound === 0 : bound >= this.outline.characters) return;
    this.edges.unobserve(edge);
    const generation = this.generation;
    const [start, end] = isUp ? [Math.max(0, bound - PART_CHARS), bound] : [bound, bound + PART_CHARS];
    const part = await this.load(start, end, { head: isUp, tail: !isUp });
    if (generation !== this.generation) return;
    if (isUp) {
      const anchor = this.parts[0].element;
      const before = anchor.getBoundingClientRect().top;
      this.parts.unshift(part);
      this.top.after(part.element);
      // What is being read stays where it is.
      scrollBy({ top: anchor.getBoundingClientRect().top - before, behavior: "instant" });
    } else {
      this.parts.push(part);
      this.bottom.before(part.element);
    }
    settle(part.element);
    this.watchAgain(edge);
  }

  /** @param {Element} edge */
  watchAgain(edge) {
    this.edges.unobserve(edge);
    this.edges.observe(edge);
  }
}

/** Once drawn, a part far from the screen is drawn no more, and keeps the height it had. @param {HTMLElement} element */
function settle(element) {
  requestAnimationFrame(() => requestAnimationFrame(() => element.classList.add("settled")));
}

/** Those that begin in [start, end). @template {{start: number}} T @param {T[]} places sorted @param {number} start @param {number} end @returns {T[]} */
function within(places, start, end) {
  let low = 0;
  let high = places.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (places[middle].start < start) low = middle + 1;
    else high = middle;
  }
  const found = [];
  while (low < places.length && places[low].start < end) found.push(places[low++]);
  return found;
}
