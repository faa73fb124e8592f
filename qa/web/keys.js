/** Keys: the access key that a server may want, and the keyboard. */

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { keep, kept } from "./prefs.js";

/** @param {string} title @param {...any} content @returns {HTMLDialogElement} */
export function dialog(title, ...content) {
  const close = h("button", { type: "button", class: "quiet close", "aria-label": t("close") }, "×");
  const made = h("dialog", { "aria-label": title }, h("header", {}, h("h2", {}, title), close), ...content);
  close.addEventListener("click", () => made.close());
  made.addEventListener("click", (event) => event.target === made && made.close());
  made.addEventListener("close", () => made.remove());
  document.body.append(made);
  made.showModal();
  return made;
}

/** Ask for the access key, keep it for this tab, and go on. @param {() => void} then */
export function askForKey(then) {
  if (document.querySelector("dialog[open]")) return;
  const input = h("input", { type: "password", id: "key", autocomplete: "off", required: true, value: kept("key") || "" });
  const form = h(
    "form", { method: "dialog" },
    h("p", {}, t("keyWhy")),
    h("label", { for: "key" }, t("key")),
    h("div", { class: "row" }, input, h("button", { class: "main" }, t("useKey"))),
  );
  const made = dialog(t("enterKey"), form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    keep("key", input.value.trim());
    made.close();
    then();
  });
}

const SHORTCUTS = [
  ["/", "keyAsk"], ["Enter", "keyEnter"], ["j  ↓", "keyNext"], ["k  ↑", "keyBefore"], ["Enter", "keyOpen"],
  ["e", "keyWhyThis"], ["n  p", "keyPassages"], ["Esc", "keyBack"], ["?", "keyHelp"],
];

export function showShortcuts() {
  if (document.querySelector("dialog[open]")) return;
  const rows = SHORTCUTS.map(([keys, what]) =>
    h("div", {}, h("dt", {}, keys.split("  ").map((key) => h("kbd", {}, key))), h("dd", {}, t(what))),
  );
  dialog(t("shortcuts"), h("dl", { class: "shortcuts" }, rows));
}

/** Whether a key press is meant for a field or a dialog rather than for the page. @param {KeyboardEvent} event */
export function isTyping(event) {
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return true;
  if (document.querySelector("dialog[open]")) return true;
  const target = /** @type {HTMLElement} */ (event.target);
  return /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.isContentEditable;
}

/** Move the focus among `items`. @param {HTMLElement[]} items @param {number} step @returns {boolean} whether it moved */
export function moveFocus(items, step) {
  const now = items.findIndex((item) => item.contains(document.activeElement));
  const next = items[now < 0 ? (step > 0 ? 0 : items.length - 1) : now + step];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
  return Boolean(next);
}

