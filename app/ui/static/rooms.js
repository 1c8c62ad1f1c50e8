// The rooms are Gradio's tabs, which it draws when it likes: found, opened, and named in the chosen language.
import { whenThere } from "./dom.js";
import { everyWord, onLanguage, t } from "./i18n.js";

const ROOMS = { concepts: () => t("room.concepts"), train: () => t("room.train"), create: () => t("room.create"),
                library: () => t("room.library"), system: () => t("room.system") };

// Calls `act` each time the element comes into view: a room is looked at again when its tab is opened.
export function whenShown(element, act) {
  new IntersectionObserver((seen) => { if (seen.some((s) => s.isIntersecting)) act(); }).observe(element);
}

const roomOf = (text) => Object.keys(ROOMS).find((room) => everyWord(`room.${room}`).includes(text.trim()));
const tabs = () => [...document.querySelectorAll(".tab-wrapper button")];

export function openRoom(room) {
  const there = tabs().filter((tab) => tab.closest("[aria-hidden=true]") === null);
  (there.find((tab) => tab.dataset.tabId === room) || there.find((tab) => roomOf(tab.textContent) === room))?.click();
}

// The text is changed in place, so that Gradio still finds its own nodes.
function rename() {
  for (const tab of tabs()) {
    const label = [...tab.childNodes].find((n) => n.nodeType === 3 && roomOf(n.nodeValue));
    const name = label && ROOMS[roomOf(label.nodeValue)]();
    if (label && label.nodeValue.trim() !== name) label.nodeValue = name;
  }
}

whenThere(".tab-wrapper", (bar) => {
  new MutationObserver(rename).observe(bar, { childList: true, characterData: true, subtree: true });
  onLanguage(rename);
});
whenThere("#brand span", (line) => onLanguage(() => { line.textContent = t("brand"); }));
