/** The page's words in the reader's language: by browser, until another one is chosen. */

import { remember, remembered } from "./prefs.js";
import { WORDS } from "./words.js";

const LANGUAGES = ["zh", "en"];

/** @returns {"zh" | "en"} */
export function language() {
  const chosen = remembered("language");
  if (chosen && LANGUAGES.includes(chosen)) return /** @type {"zh" | "en"} */ (chosen);
  return /^zh/i.test(navigator.language) ? "zh" : "en";
}

/** @param {"zh" | "en"} chosen */
export function choose(chosen) {
  remember("language", chosen);
  apply();
}

/** Tell the browser which language the page is in. */
export function apply() {
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
}

/** @param {string} key @param {...(string | number)} values for {0}, {1}… @returns {string} */
export function t(key, ...values) {
  const found = WORDS[key];
  if (!found) throw new Error(`no words for ${key}`);
  return found[LANGUAGES.indexOf(language())].replace(/\{(\d)\}/g, (_, n) => String(values[Number(n)]));
}

/** A figure with its thousands apart. @param {number} value @param {number} [digits] */
export function figure(value, digits = 0) {
  return value.toLocaleString(language() === "zh" ? "zh-CN" : "en", { maximumFractionDigits: digits });
}

/** @param {string} iso */
export function day(iso) {
  const date = new Date(iso);
  return Number.isNaN(date.getTime())
    ? iso
    : date.toLocaleDateString(language() === "zh" ? "zh-CN" : "en", { year: "numeric", month: "short", day: "numeric" });
}
