/** Elements from data. Text only ever becomes text nodes: nothing here reads HTML. */

/**
 * @param {string} tag the element's name
 * @param {Record<string, any>} [props] `class`, `on` (events), `data` (data-…), properties of the element, attributes
 * @param {...(Node | string | number | null | undefined | false)} children
 * @returns {any}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.className = value;
    else if (name === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name in element && !name.includes("-") && name !== "list") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  add(element, children);
  return element;
}

/** @param {Node} parent @param {any[]} children */
function add(parent, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) add(parent, child);
    else parent.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** @param {...any} children @returns {DocumentFragment} */
export function fragment(...children) {
  const made = document.createDocumentFragment();
  add(made, children);
  return made;
}

/** @param {Element} parent @param {...any} children */
export function fill(parent, ...children) {
  parent.replaceChildren(fragment(...children));
}

let spoken = /** @type {HTMLElement | null} */ (null);

/** Say something to whoever listens to the page rather than looks at it. @param {string} text */
export function announce(text) {
  if (!spoken) {
    spoken = h("div", { class: "unseen", role: "status", "aria-live": "polite" });
    document.body.append(spoken);
  }
  spoken.textContent = text;
}

/** @param {string} text @returns {Promise<boolean>} whether it could be copied */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without https a browser has no clipboard for pages; the old command still works.
    const area = h("textarea", { value: text, class: "unseen" });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/**
 * A button that copies and says so.
 * @param {string} label @param {() => string} text @param {string} done
 */
export function copyButton(label, text, done) {
  const button = h("button", { type: "button", class: "quiet" }, label);
  button.addEventListener("click", async () => {
    if (!(await copy(text()))) return;
    button.textContent = done;
    announce(done);
    setTimeout(() => (button.textContent = label), 1500);
  });
  return button;
}
