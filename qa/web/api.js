/** The server, as the page sees it. Every failure becomes a `Trouble` that says what kind it is. */

import { kept } from "./prefs.js";
import { address } from "./links.js";

/** What went wrong: `gone`, `key`, `forbidden`, `busy`, `starting`, `missing`, `refused` or `broken`. */
export class Trouble extends Error {
  /** @param {string} kind @param {string} detail @param {number} [waitS] after which to try again */
  constructor(kind, detail, waitS = 0) {
    super(detail);
    this.kind = kind;
    this.waitS = waitS;
  }
}

const KINDS = { 401: "key", 403: "forbidden", 404: "missing", 409: "exists", 429: "busy", 503: "starting" };
const SLOWEST_WAIT_S = 60;

/** The access key, where the server wants one. */
export function key() {
  return kept("key");
}

/** @returns {Record<string, string>} */
export function credentials() {
  const found = key();
  return found ? { Authorization: `Bearer ${found}` } : {};
}

/** @param {number} status @param {string | null} after the Retry-After header @param {string} body */
export function troubleOf(status, after, body) {
  let detail = "";
  let isFull = false;
  let isKept = false;
  try {
    const found = JSON.parse(body);
    detail = found.detail || found.error?.message || "";
    isFull = String(found.type).endsWith("/overloaded");
    isKept = String(found.type).endsWith("/not-uploaded"); // there are no keys that one could enter
  } catch {
    /* a proxy's own page, not ours */
  }
  const isGateway = status === 502 || status === 504;
  const kind = isFull ? "busy" : isKept ? "refused" : isGateway ? "gone" : KINDS[status] || (status < 500 ? "refused" : "broken");
  return new Trouble(kind, detail, Math.min(Number(after) || 0, SLOWEST_WAIT_S));
}

/**
 * @param {string} path without a leading slash
 * @param {RequestInit & {query?: Record<string, any>}} [options]
 * @returns {Promise<Response>} a response that is not an error
 */
export async function send(path, { query, headers, ...options } = {}) {
  let response;
  try {
    response = await fetch(address(path, query), { ...options, headers: { ...credentials(), ...headers } });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Trouble("gone", String(error));
  }
  if (response.ok) return response;
  throw troubleOf(response.status, response.headers.get("Retry-After"), await response.text().catch(() => ""));
}

/** @param {string} path @param {Record<string, any>} [query] @param {AbortSignal} [signal] @returns {Promise<any>} */
export async function get(path, query, signal) {
  return (await send(path, { query, signal })).json();
}

/** @param {string} path @param {any} body @param {AbortSignal} [signal] @returns {Promise<Response>} */
export function post(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  return send(path, { method: "POST", body: JSON.stringify(body), headers, signal });
}

/**
 * Ask, and hear the answer as it comes.
 * @param {any} request @param {AbortSignal} signal
 * @param {{sources?: (found: any) => void, delta?: (text: string, replace: boolean) => void}} hear
 * @returns {Promise<any>} the whole response
 */
export async function ask(request, signal, hear) {
  const response = await post("v1/ask", { ...request, stream: true }, signal);
  if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) return response.json();
  for await (const [event, data] of events(response, signal)) {
    if (event === "sources") hear.sources?.(data);
    else if (event === "delta") hear.delta?.(data.text, data.replace);
    else if (event === "done") return data;
    else if (event === "error") throw new Trouble(KINDS[data.status] || "broken", data.detail || "");
  }
  throw new Trouble("gone", "the answer broke off");
}

/** Server-sent events. @param {Response} response @param {AbortSignal} signal */
async function* events(response, signal) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (error) {
      if (signal.aborted) throw error;
      throw new Trouble("gone", String(error));
    }
    if (part.done) return;
    const blocks = (rest + part.value.replaceAll("\r\n", "\n")).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split("\n");
      const event = lines.find((line) => line.startsWith("event:"))?.slice(6).trim();
      const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n");
      if (event && data) yield [event, JSON.parse(data)];
    }
  }
}

/** Wait until the server answers questions, telling `hear` why it doesn't yet. @param {AbortSignal} signal @param {(trouble: Trouble) => void} hear */
export async function ready(signal, hear) {
  for (let delayMs = 500; ; delayMs = Math.min(delayMs * 1.5, 5000)) {
    await pause(delayMs, signal);
    try {
      await send("readyz", { signal });
      return;
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      hear(error);
    }
  }
}

/** @param {number} ms @param {AbortSignal} signal @returns {Promise<void>} */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new DOMException("stopped", "AbortError"));
    if (signal.aborted) stop();
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), stop()), { once: true });
  });
}
