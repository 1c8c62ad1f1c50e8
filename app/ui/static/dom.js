// Makes elements. What people typed goes in as text, never as markup.
import { said, t } from "./i18n.js";

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) continue; // a property would take the word "null"
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && typeof value !== "string") element[key] = value;
    else if (value !== false) element.setAttribute(key, value);
  }
  element.append(...children.filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

export function loadImage(source) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error(t("fault.picture")));
    image.src = source;
  });
}

export const button = (label, click, attributes = {}) =>
  make("button", { type: "button", class: "s-button", onclick: click, ...attributes }, label);

// Remembers what has the focus in `place` by its data-key. What this answers is called when the place is drawn anew, and
// gives the focus back to what has that key now; where nothing has, to `otherwise`.
export function holdFocus(place, otherwise = null) {
  const key = place.contains(document.activeElement) ? document.activeElement.dataset.key : "";
  return () => {
    if (!key || place.contains(document.activeElement)) return;
    (place.querySelector(`[data-key="${CSS.escape(key)}"]:not(:disabled)`) || otherwise)?.focus();
  };
}

// A line at the foot of the page, with one thing that can be done about it.
export function toast(text, action = null) {
  document.querySelector(".s-toast:not(.s-unsaved)")?.remove();
  const close = () => box.remove();
  const box = make("div", { class: "s-toast", role: "status" }, make("span", {}, text),
    action && button(action.label, () => { close(); action.run(); }, { class: "s-button s-quiet" }),
    button("×", close, { class: "s-button s-quiet", "aria-label": t("close") }));
  (document.querySelector("dialog[open]") || document.body).append(box); // an open dialog covers the rest
  setTimeout(close, 12000);
}

export const complain = (error) => toast(said(error.message || String(error)));

// The page is drawn by Gradio, later than this runs.
export function whenThere(selector, act) {
  const look = () => {
    const root = document.querySelector(selector);
    if (root && !root.dataset.taken) {
      root.dataset.taken = "true";
      act(root);
    }
  };
  new MutationObserver(look).observe(document.documentElement, { childList: true, subtree: true });
  look();
}

// A labelled field; `hint` says more below it.
export const field = (label, input, hint = "", attributes = {}) =>
  make("label", { class: "s-field", ...attributes }, make("span", {}, label), input, hint && make("small", { class: "s-hint" }, hint));

// Tools that belong together, with the name of what they are for.
export const toolRow = (name, ...tools) => make("div", { class: "s-tool-row", role: "group", "aria-label": name },
  make("small", { "aria-hidden": "true" }, name), make("div", { class: "s-tool-set" }, ...tools));

// A place where pictures are dropped, and a button for those who cannot drop.
export function dropZone(area, take) {
  const over = (on) => (event) => { event.preventDefault(); area.classList.toggle("over", on); };
  area.addEventListener("dragover", over(true));
  area.addEventListener("dragleave", over(false));
  area.addEventListener("drop", (event) => {
    over(false)(event);
    const [file] = [...event.dataTransfer.files];
    if (file) take(file);
  });
}
