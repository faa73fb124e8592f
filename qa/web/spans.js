/**
 * Offsets of the API count code points; JavaScript's strings count UTF-16 units. Here one becomes the other.
 *
 * @typedef {[number, number]} Span
 * @typedef {{spans: Span[], make: (text: string) => Node}} Layer spans, and the element that shows one
 */

const ASTRAL = /[\ud800-\udfff]/;

/** Text that is cut by code points. */
export class Text {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
    this.chars = ASTRAL.test(text) ? Array.from(text) : null;
    this.length = this.chars ? this.chars.length : text.length;
  }

  /** @param {number} start @param {number} [end] */
  slice(start, end = this.length) {
    return this.chars ? this.chars.slice(start, end).join("") : this.text.slice(start, end);
  }
}

/** How many code points a string has. @param {string} text */
export function size(text) {
  return ASTRAL.test(text) ? Array.from(text).length : text.length;
}

/**
 * A text with some of its spans shown as elements; where layers meet, the later one is inside.
 * @param {string} text @param {number} first what the spans call the first character of `text`
 * @param {Layer[]} layers @returns {DocumentFragment}
 */
export function layered(text, first, layers) {
  const whole = new Text(text);
  const cuts = new Set([0, whole.length]);
  const inside = layers.map(({ spans }) =>
    spans.map(([start, end]) => [Math.max(0, start - first), Math.min(whole.length, end - first)]).filter(([a, b]) => a < b),
  );
  for (const [start, end] of inside.flat()) cuts.add(start).add(end);
  const places = [...cuts].sort((one, other) => one - other);
  const made = document.createDocumentFragment();
  for (let n = 0; n + 1 < places.length; n++) {
    const piece = whole.slice(places[n], places[n + 1]);
    let node = /** @type {Node} */ (document.createTextNode(piece));
    for (let layer = layers.length - 1; layer >= 0; layer--) {
      if (inside[layer].some(([start, end]) => start <= places[n] && places[n + 1] <= end)) {
        const outer = layers[layer].make(piece);
        outer.appendChild(node);
        node = outer;
      }
    }
    made.appendChild(node);
  }
  return made;
}

/** The spans of each place where `part` stands in `text`, in code points. @param {string} text @param {string} part @returns {Span[]} */
export function spansOf(text, part) {
  const found = text.indexOf(part);
  if (!part || found < 0) return [];
  const start = size(text.slice(0, found));
  return [[start, start + size(part)]];
}
