/** What is indexed, and for an administrator the means to change it. */

import { get } from "./api.js";
import { fill, h } from "./dom.js";
import { day, figure, t } from "./i18n.js";
import { documentLink, placeLink } from "./links.js";
import { confirmRemoval, managing } from "./manage.js";
import { show as showTrouble } from "./trouble.js";

const PAGE = 50;
const TYPING_MS = 180;

/** @param {HTMLElement} main @param {URL} url @param {AbortSignal} signal */
export async function show(main, url, signal) {
  document.title = `${t("nav.documents")} · cited-qa`;
  main.className = "documents";
  const list = h("ul", { class: "files" });
  const more = h("div", { class: "center" });
  const input = h("input", { id: "name", type: "search", placeholder: t("searchHint"), value: url.searchParams.get("q") || "", autocomplete: "off" });
  const view = new Listing(list, more, input, signal);
  let timer = 0;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      history.replaceState(history.state, "", input.value ? `?q=${encodeURIComponent(input.value)}` : location.pathname);
      view.start();
    }, TYPING_MS);
  });
  fill(
    main,
    h("h1", {}, t("nav.documents")),
    h("form", { class: "find", role: "search", on: { submit: (event) => event.preventDefault() } }, h("label", { for: "name", class: "unseen" }, t("search")), input),
    managing(() => view.start(), signal),
    list, more,
  );
  await view.start();
}

class Listing {
  /** @param {Element} list @param {Element} more @param {HTMLInputElement} input @param {AbortSignal} signal */
  constructor(list, more, input, signal) {
    this.list = list;
    this.more = more;
    this.input = input;
    this.signal = signal;
    this.asked = 0;
  }

  async start() {
    await this.load("");
  }

  /** @param {string} cursor @returns {Promise<void>} */
  async load(cursor) {
    const asked = ++this.asked;
    const name = this.input.value.trim();
    try {
      const page = await get("v1/documents", { limit: PAGE, cursor, q: name }, this.signal);
      if (asked !== this.asked) return;
      const items = page.documents.map((info) => this.item(info));
      if (cursor) this.list.append(...items);
      else fill(this.list, items.length ? items : h("li", { class: "quiet" }, name ? t("noneNamed", name) : t("noDocuments")));
      const next = page.next_cursor;
      fill(this.more, next ? h("button", { type: "button", on: { click: () => this.load(next) } }, t("more")) : null);
    } catch (error) {
      if (asked === this.asked) showTrouble(this.more, error, () => (fill(this.more), this.load(cursor)), this.signal);
    }
  }

  /** @param {any} info */
  item(info) {
    const name = info.title || info.path.split("/").pop();
    const again = () => this.start();
    const remove = h("button", { type: "button", class: "quiet remove", "aria-label": `${t("remove")}: ${name}`, on: { click: () => confirmRemoval(info, again, this.signal) } }, t("remove"));
    return h(
      "li", {},
      h("div", { class: "file" },
        h("a", { href: documentLink(info.id), class: "title" }, name),
        h("p", { class: "place" }, h("span", {}, info.path), h("span", {}, t("passagesN", figure(info.passages))), h("span", {}, t("read", day(info.read_at))), h("span", {}, info.collection)),
        info.warnings.length ? warnings(info) : null),
      remove,
    );
  }
}

/** @param {any} info */
function warnings(info) {
  const items = info.warnings.map((warning) => {
    const hasSpan = warning.start !== null && warning.end > warning.start;
    const where = warning.page ? t("page", warning.page) : warning.paragraph ? t("paragraph", warning.paragraph) : "";
    const link = hasSpan ? h("a", { href: placeLink({ document_id: info.id, start: warning.start, end: warning.end }) }, warning.text) : warning.text;
    return h("li", {}, where && h("span", { class: "quiet" }, where, " "), link);
  });
  return h("details", { class: "wary" }, h("summary", {}, t("warnings", items.length)), h("ul", {}, items));
}
