/** Uploading, deleting and reading anew: for those who hold an administrator's key, or where none is needed. */

import { Trouble, credentials, get, pause, post, send, troubleOf } from "./api.js";
import { announce, fill, h } from "./dom.js";
import { figure, t } from "./i18n.js";
import { dialog } from "./keys.js";
import { address } from "./links.js";
import { show as showTrouble } from "./trouble.js";

const POLL_MS = 300;

/** @param {() => void} changed told when documents came or went @param {AbortSignal} signal @returns {HTMLElement} */
export function managing(changed, signal) {
  const input = h("input", { type: "file", id: "files", multiple: true, class: "unseen" });
  const replace = h("input", { type: "checkbox", id: "replace" });
  const log = h("div", { class: "joblog", "aria-live": "polite" });
  const zone = h(
    "div", { class: "drop" },
    h("p", {}, t("drop"), h("label", { for: "files", class: "link" }, t("chooseFiles")), input),
    h("p", { class: "quiet" }, replace, " ", h("label", { for: "replace" }, t("replace"))),
  );
  const add = (/** @type {FileList | File[]} */ files) => files.length && upload([...files], replace.checked, log, changed, signal);
  input.addEventListener("change", () => (add(input.files), (input.value = "")));
  for (const event of ["dragenter", "dragover"]) zone.addEventListener(event, (e) => (e.preventDefault(), zone.classList.add("over")));
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    add(event.dataTransfer.files);
  });
  const again = h("button", { type: "button", on: { click: () => run(() => post("v1/index", { rebuild: false }, signal), log, changed, signal) } }, t("reindex"));
  return h("details", { class: "manage" }, h("summary", {}, t("manage")), zone, again, log);
}

/** @param {File[]} files @param {boolean} replace @param {Element} log @param {() => void} changed @param {AbortSignal} signal */
function upload(files, replace, log, changed, signal) {
  const form = new FormData();
  for (const file of files) form.append("file", file, file.name);
  if (replace) form.append("replace", "true");
  const names = files.map((file) => file.name).join(t("listComma"));
  const bar = h("progress", { max: 1, value: 0, "aria-label": names });
  const line = h("p", {}, t("uploading", names, 0));
  fill(log, line, bar);
  const sending = () =>
    sendForm("v1/documents", form, signal, (share) => {
      bar.value = share;
      line.textContent = t("uploading", names, figure(100 * share));
    });
  return run(sending, log, changed, signal);
}

/** fetch tells nothing of how far a body has been sent; XMLHttpRequest does. @param {string} path @param {FormData} form @param {AbortSignal} signal @param {(share: number) => void} hear @returns {Promise<{json: () => any}>} */
function sendForm(path, form, signal, hear) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address(path));
    for (const [name, value] of Object.entries(credentials())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => event.lengthComputable && hear(event.loaded / event.total));
    request.addEventListener("error", () => reject(new Trouble("gone", "")));
    request.addEventListener("load", () => {
      if (request.status < 300) resolve({ json: () => JSON.parse(request.responseText) });
      else reject(troubleOf(request.status, request.getResponseHeader("Retry-After"), request.responseText));
    });
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

/**
 * Start a job and show how it goes.
 * @param {() => Promise<{json: () => any}>} begin @param {Element} log @param {() => void} changed @param {AbortSignal} signal
 */
async function run(begin, log, changed, signal) {
  try {
    let job = await (await begin()).json();
    const line = h("p");
    const bar = h("progress", { max: 1, "aria-label": t(`kind.${job.kind}`) });
    fill(log, line, bar);
    while (job.status === "queued" || job.status === "running") {
      line.textContent = `${t("job", t(`kind.${job.kind}`), figure(100 * job.progress))} ${job.message}`;
      bar.value = job.progress;
      await pause(POLL_MS, signal);
      job = await get(`v1/jobs/${encodeURIComponent(job.id)}`, {}, signal);
    }
    finished(job, log);
    changed();
  } catch (error) {
    if (signal.aborted) return;
    // Nothing that changes something is done again by itself.
    const isWaiting = error instanceof Trouble && ["gone", "starting", "busy"].includes(error.kind);
    const shown = isWaiting ? new Trouble("broken", `${t(error.kind)}. ${error.message}`) : error;
    await showTrouble(log, shown, () => run(begin, log, changed, signal), signal);
  }
}

/** @param {any} job @param {Element} log */
function finished(job, log) {
  const isDone = job.status === "done";
  const skipped = job.skipped.map(({ path, reason }) => h("li", {}, path, " — ", reason));
  const said = `${t(`kind.${job.kind}`)}${t("comma")}${t(isDone ? "done" : "failed")}`;
  announce(said);
  fill(
    log,
    h("p", { class: isDone ? "ok" : "wary" }, said, isDone ? "" : `: ${job.message}`),
    skipped.length ? h("div", { class: "wary" }, t("skippedFiles"), h("ul", {}, skipped)) : null,
  );
}

/** @param {any} info @param {() => void} changed @param {AbortSignal} signal */
export function confirmRemoval(info, changed, signal) {
  const log = h("div", { class: "joblog" });
  const sure = h("button", { type: "button", class: "main" }, t("remove"));
  const not = h("button", { type: "button" }, t("cancel"));
  const made = dialog(t("remove"), h("p", {}, t("removeSure", info.path)), h("div", { class: "row end" }, not, sure), log);
  not.addEventListener("click", () => made.close());
  not.focus();
  sure.addEventListener("click", async () => {
    sure.disabled = true;
    const done = () => (made.close(), changed());
    await run(() => send(`v1/documents/${encodeURIComponent(info.id)}`, { method: "DELETE", signal }), log, done, signal);
    sure.disabled = false;
  });
}
