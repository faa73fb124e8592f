/** Addresses, all under the folder that the page was served from: it works behind a prefix too. */

export const ROOT = new URL("../", import.meta.url);

/** @param {string} path without a leading slash @param {Record<string, string | number | null | undefined>} [query] */
export function address(path, query = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, String(value));
  }
  return url;
}

/** @param {string} query */
export function answerLink(query) {
  return address("", { q: query });
}

/** @param {{document_id: string, start: number, end: number}} place */
export function placeLink(place) {
  return address(`documents/${encodeURIComponent(place.document_id)}`, { start: place.start, end: place.end });
}

/** @param {string} id */
export function documentLink(id) {
  return address(`documents/${encodeURIComponent(id)}`);
}

/** Show another address of the page. @param {URL | string} url @param {any} [state] */
export function go(url, state = null) {
  history.pushState(state, "", url);
  dispatchEvent(new Event("cited-qa:go"));
}
