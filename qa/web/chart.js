/** Dots on a canvas that can be moved, zoomed, pointed at and opened. */

const MARGIN = 28;
const REACH_PX = 12;
const MAX_ZOOM = 40;
const MAX_LABELS = 24;
const MAX_LABEL_CHARS = 16;

/** A colour for each group: hues far apart, the same in light and dark. @param {number} group */
export function colour(group) {
  return `oklch(0.66 0.13 ${(175 + group * 137.5) % 360})`;
}

export class Chart {
  /**
   * @param {HTMLCanvasElement} canvas @param {{x: number, y: number}[]} points within -1 to 1
   * @param {number[]} groups of each point @param {boolean[]} lit
   * @param {string[]} labels what each point is about @param {AbortSignal} signal
   */
  constructor(canvas, points, groups, lit, labels, signal) {
    Object.assign(this, { canvas, points, groups, lit, labels });
    // Labels come from all over the map rather than from its first document.
    this.order = points.map((_, n) => n).sort((a, b) => Number(lit[b]) - Number(lit[a]) || mixed(a) - mixed(b));
    this.context = canvas.getContext("2d");
    this.scale = 1;
    this.shift = [0, 0];
    this.group = -1;
    this.hovered = -1;
    this.onHover = (/** @type {number} */ _n, /** @type {number} */ _x, /** @type {number} */ _y) => {};
    this.onOpen = (/** @type {number} */ _n) => {};
    this.listen(signal);
  }

  /** @param {AbortSignal} signal */
  listen(signal) {
    const sizes = new ResizeObserver(() => this.resize());
    sizes.observe(this.canvas);
    const theme = new MutationObserver(() => this.draw());
    theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw(), { signal });
    signal.addEventListener("abort", () => (sizes.disconnect(), theme.disconnect()), { once: true });
    /** @type {Map<number, [number, number]>} */
    this.held = new Map();
    this.moved = false;
    const on = (name, act) => this.canvas.addEventListener(name, act, { signal, passive: name !== "wheel" });
    on("pointerdown", (event) => (this.canvas.setPointerCapture(event.pointerId), this.held.set(event.pointerId, at(event)), (this.moved = false)));
    on("pointermove", (event) => this.onMove(event));
    on("pointerup", (event) => this.onUp(event));
    on("pointercancel", (event) => this.held.delete(event.pointerId));
    on("pointerleave", () => this.hover(-1, 0, 0));
    on("wheel", (event) => (event.preventDefault(), this.zoom(Math.exp(-event.deltaY / 400), at(event))));
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const density = devicePixelRatio || 1;
    this.canvas.width = width * density;
    this.canvas.height = height * density;
    this.context.setTransform(density, 0, 0, density, 0, 0);
    this.draw();
  }

  /** @param {number} n @returns {[number, number]} where a point is on the canvas */
  place(n) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const wide = (width / 2 - MARGIN) * this.scale;
    const high = (height / 2 - MARGIN) * this.scale;
    return [width / 2 + this.shift[0] + this.points[n].x * wide, height / 2 + this.shift[1] - this.points[n].y * high];
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.paint());
  }

  paint() {
    const { context, canvas, points, lit } = this;
    const style = getComputedStyle(canvas);
    const hasLit = lit.some(Boolean);
    const size = Math.max(1.6, Math.min(5, 90 / Math.sqrt(points.length))) * Math.min(2, Math.sqrt(this.scale));
    context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    for (const wantsLit of [false, true]) {
      for (let n = 0; n < points.length; n++) {
        if (lit[n] !== wantsLit) continue;
        const isShown = this.group < 0 ? !hasLit || lit[n] : this.groups[n] === this.group;
        context.globalAlpha = isShown ? 0.9 : 0.22;
        context.fillStyle = colour(this.groups[n]);
        this.dot(n, lit[n] ? size * 1.7 : size);
        if (lit[n]) this.ring(n, size * 1.7 + 3, style.color);
      }
    }
    context.globalAlpha = 1;
    if (this.hovered >= 0) this.ring(this.hovered, size + 3, style.color);
    this.paintLabels(style);
  }

  /** @param {number} n @param {number} radius */
  dot(n, radius) {
    const [x, y] = this.place(n);
    this.context.beginPath();
    this.context.arc(x, y, radius, 0, 2 * Math.PI);
    this.context.fill();
  }

  /** @param {number} n @param {number} radius @param {string} ink */
  ring(n, radius, ink) {
    const [x, y] = this.place(n);
    this.context.beginPath();
    this.context.arc(x, y, radius, 0, 2 * Math.PI);
    this.context.lineWidth = 1.5;
    this.context.strokeStyle = ink;
    this.context.stroke();
  }

  /** As many labels as have room, those of lit dots first; more come with zooming. @param {CSSStyleDeclaration} style */
  paintLabels(style) {
    const { context, lit, labels } = this;
    context.font = `12px ${style.fontFamily}`;
    context.textAlign = "center";
    context.lineJoin = "round";
    context.lineWidth = 4;
    context.strokeStyle = style.backgroundColor;
    const hasLit = lit.some(Boolean);
    const taken = /** @type {number[][]} */ ([]);
    const said = new Set();
    for (const n of this.order) {
      if (taken.length === MAX_LABELS || (hasLit && !lit[n] && taken.length >= MAX_LABELS / 2)) break;
      if (said.has(labels[n]) || !labels[n] || (this.group >= 0 && this.groups[n] !== this.group)) continue;
      const text = labels[n].length > MAX_LABEL_CHARS ? `${labels[n].slice(0, MAX_LABEL_CHARS - 1)}…` : labels[n];
      const half = context.measureText(text).width / 2;
      const [x, y] = this.place(n);
      const box = [x - half - 6, y - 30, x + half + 6, y - 2];
      if (box[0] < 0 || box[2] > this.canvas.clientWidth || box[1] < 0 || box[3] > this.canvas.clientHeight) continue;
      if (taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) continue;
      taken.push(box);
      said.add(labels[n]);
      context.strokeText(text, x, y - 11);
      context.fillStyle = style.color;
      context.globalAlpha = hasLit && !lit[n] ? 0.55 : 0.9;
      context.fillText(text, x, y - 11);
    }
    context.globalAlpha = 1;
  }

  /** @param {PointerEvent} event */
  onMove(event) {
    const [x, y] = at(event);
    const before = this.held.get(event.pointerId);
    if (!before) return this.hover(this.nearest(x, y), x, y);
    if (Math.hypot(x - before[0], y - before[1]) > 3) this.moved = true;
    if (this.held.size === 2) {
      const [other] = [...this.held].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const apart = ([a, b]) => Math.hypot(a - other[0], b - other[1]) || 1;
      this.zoom(apart([x, y]) / apart(before), other);
    } else if (this.moved) this.move(x - before[0], y - before[1]);
    if (this.moved || this.held.size === 2) this.held.set(event.pointerId, [x, y]);
  }

  /** @param {PointerEvent} event */
  onUp(event) {
    this.held.delete(event.pointerId);
    if (this.moved || this.held.size) return;
    const found = this.nearest(...at(event));
    if (found >= 0) this.onOpen(found);
  }

  /** @param {number} x @param {number} y @returns {number} the dot there, or -1 */
  nearest(x, y) {
    let best = -1;
    let least = REACH_PX;
    for (let n = 0; n < this.points.length; n++) {
      const place = this.place(n);
      const far = Math.hypot(place[0] - x, place[1] - y) - (this.lit[n] ? 4 : 0);
      if (far < least) [best, least] = [n, far];
    }
    return best;
  }

  /** @param {number} n @param {number} x @param {number} y */
  hover(n, x, y) {
    this.canvas.style.cursor = n < 0 ? "grab" : "pointer";
    this.onHover(n, x, y);
    if (n !== this.hovered) {
      this.hovered = n;
      this.draw();
    }
  }

  /** @param {number} x @param {number} y */
  move(x, y) {
    this.shift = [this.shift[0] + x, this.shift[1] + y];
    this.draw();
  }

  /** @param {number} by @param {[number, number]} [around] a place on the canvas that stays where it is */
  zoom(by, around = [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2]) {
    const scale = Math.min(MAX_ZOOM, Math.max(0.5, this.scale * by));
    const middle = [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2];
    this.shift = [0, 1].map((axis) => around[axis] - middle[axis] - ((around[axis] - middle[axis] - this.shift[axis]) * scale) / this.scale);
    this.scale = scale;
    this.draw();
  }

  reset() {
    this.scale = 1;
    this.shift = [0, 0];
    this.draw();
  }

  /** Show one group only. @param {number} group -1 for all */
  only(group) {
    this.group = group;
    this.draw();
  }
}

/** A fixed disorder of the whole numbers. @param {number} n */
function mixed(n) {
  return (n * 2654435761) % 4294967296;
}

/** @param {MouseEvent} event @returns {[number, number]} */
function at(event) {
  return [event.offsetX, event.offsetY];
}
