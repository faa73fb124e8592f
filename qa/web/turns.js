/**
 * The conversation: what was asked in this tab, oldest first, with the answers.
 *
 * @typedef {{id: string, query: string, response: any}} Turn `id` is the response's
 */

import { keep, kept } from "./prefs.js";

const MAX_KEPT = 20;
const MAX_SENT = 8;
const MAX_ANSWER_CHARS = 2000;

/** @type {Turn[]} */
let turns = read();

/** @returns {Turn[]} */
function read() {
  try {
    return JSON.parse(kept("turns") || "[]");
  } catch {
    return [];
  }
}

/** @returns {readonly Turn[]} */
export function all() {
  return turns;
}

/** @param {string} id @returns {Turn | undefined} */
export function find(id) {
  return turns.find((turn) => turn.id === id);
}

/** @param {string} query @param {any} response @returns {Turn} */
export function push(query, response) {
  const turn = { id: response.id, query, response };
  turns = [...turns.filter((other) => other.query !== query), turn].slice(-MAX_KEPT);
  keep("turns", JSON.stringify(turns));
  return turn;
}

export function clear() {
  turns = [];
  keep("turns", null);
}

/** What the server needs to understand a follow-up. @returns {{question: string, answer: string}[]} */
export function history() {
  return turns.slice(-MAX_SENT).map(({ query, response }) => ({
    question: response.interpreted_as || query,
    answer: (response.answer?.text || "").slice(0, MAX_ANSWER_CHARS),
  }));
}

/** The question that stands by itself, for a link that can be sent. @param {any} response @returns {string} */
export function whole(response) {
  return response.interpreted_as || response.query;
}
