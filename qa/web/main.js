/** The page: which view is shown, the bar at the top, and the keyboard. */

import * as asking from "./ask.js";
import { fill, h } from "./dom.js";
import { apply, choose, language, t } from "./i18n.js";
import { isTyping, showShortcuts } from "./keys.js";
import { ROOT, address, go } from "./links.js";
import { remember } from "./prefs.js";

const main = /** @type {HTMLElement} */ (document.querySelector("main"));
let leaving = new AbortController();
let onKey = /** @type {(event: KeyboardEvent) => boolean} */ (() => false);

/** Show what the address says. Views other than asking are loaded when they are first wanted. */
async function route() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const url = new URL(location.href);
  const path = decodeURIComponent(url.pathname.slice(ROOT.pathname.length));
  onKey = () => false;
  bar(path);
  if (path === "") {
    asking.showAsk(main, url, signal);
    onKey = (event) => asking.onKey(event, main);
    return;
  }
  const view = path === "map" ? "map" : path === "documents" ? "documents" : "document";
  const loaded = await import(`./${view}.js`).catch(() => null);
  if (signal.aborted) return;
  if (!loaded) {
    fill(main, h("div", { class: "trouble" }, h("strong", {}, t("gone")), h("button", { on: { click: route } }, t("again"))));
    return;
  }
  onKey = (event) => loaded.onKey?.(event, main) || false;
  await loaded.show(main, url, signal, path.replace(/^documents\/?/, ""));
}

/** @param {string} path */
function bar(path) {
  document.querySelector(".skip").textContent = t("skip");
  const views = [["", "ask"], ["documents", "documents"], ["map", "map"]];
  const links = views.map(([to, name]) => {
    const isHere = to === path || (to === "documents" && path.startsWith("documents/"));
    return h("a", { href: address(to), "aria-current": isHere ? "page" : null }, t(`nav.${name}`));
  });
  const nav = document.querySelector("header nav");
  nav.setAttribute("aria-label", t("nav"));
  fill(nav, links);
  fill(document.querySelector(".tools"), languageSwitch(), themeSwitch(), helpButton());
  fill(document.querySelector(".foot"), t("local"), " · ", h("a", { href: address("docs") }, "API"));
}

function languageSwitch() {
  const other = language() === "zh" ? "en" : "zh";
  const change = () => (choose(other), route());
  return h("button", { class: "quiet", lang: other === "zh" ? "zh-CN" : "en", title: t("otherLanguage"), on: { click: change } }, other === "zh" ? "中文" : "EN");
}

function themeSwitch() {
  const isDark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const button = h("button", { class: "quiet theme", title: t("theme"), "aria-label": t("theme") }, "◐");
  button.addEventListener("click", () => {
    const wanted = isDark() ? "light" : "dark";
    const isSystem = wanted === (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    if (isSystem) delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = wanted;
    remember("theme", isSystem ? null : wanted);
  });
  return button;
}

function helpButton() {
  return h("button", { class: "quiet help", title: t("shortcuts"), "aria-label": t("shortcuts"), on: { click: showShortcuts } }, "?");
}

/** Our own links change the view without loading the page again. @param {MouseEvent} event */
function onClick(event) {
  const link = /** @type {Element} */ (event.target).closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const url = new URL(link.href);
  const path = url.pathname.slice(ROOT.pathname.length);
  const isOurs = url.origin === ROOT.origin && url.pathname.startsWith(ROOT.pathname) && /^$|^map$|^documents(\/|$)/.test(path);
  if (!isOurs || link.target || url.hash) return;
  event.preventDefault();
  go(url, link.dataset.turn ? { turn: link.dataset.turn } : null);
}

/** @param {KeyboardEvent} event */
function onKeyDown(event) {
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
    const active = /** @type {HTMLElement} */ (document.activeElement);
    if (/^(INPUT|TEXTAREA)$/.test(active.tagName)) active.blur();
    else if (history.state?.inside) history.back();
    else if (location.href !== ROOT.href) go(ROOT);
    return;
  }
  if (isTyping(event)) return;
  if (event.key === "/") {
    event.preventDefault();
    const box = document.querySelector("#q, #name");
    if (box) box.focus(), box.select();
    else go(ROOT);
  } else if (event.key === "?") showShortcuts();
  else if (onKey(event)) event.preventDefault();
}

/** Show another view; the focus goes with it. */
async function move() {
  await route();
  if (!main.contains(document.activeElement)) main.focus({ preventScroll: true });
}

addEventListener("popstate", move);
addEventListener("cited-qa:go", () => {
  history.replaceState({ ...history.state, inside: true }, "");
  scrollTo(0, 0);
  move();
});
document.addEventListener("click", onClick);
document.addEventListener("keydown", onKeyDown);
apply();
route();

