// What the page says, by key, in the language that was chosen in this browser. `static/i18n` has a file for each.
//   import { t, onLanguage } from "./i18n.js";
//   t("library.empty"), t("library.count", { n: 3 }); with n = 1 the key with ".one" is taken where there is one.
const KEPT = "semblance.language";
const BASIS = "en"; // every key is there
export const LANGUAGES = { en: "English", de: "Deutsch" };

const catalogues = {};
const answers = {}; // by language: what the studio says in English, as [pattern, places, text]
const listeners = new Set();
let code = localStorage.getItem(KEPT) in LANGUAGES ? localStorage.getItem(KEPT) : BASIS;

async function load(wanted) {
  if (catalogues[wanted]) return;
  const file = async (path) => (await fetch(`/studio/static/${path}/${wanted}.json`)).json();
  const [words, known] = await Promise.all([file("i18n"), wanted === BASIS ? {} : file("answers")]);
  answers[wanted] = Object.entries(known).map(pattern);
  catalogues[wanted] = words;
}

function pattern([english, text]) {
  const places = [...english.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  const parts = english.split(/\{\w+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return [new RegExp(`^${parts.join("(.+?)")}$`, "s"), places, text];
}

export const language = () => code;

export function t(key, values = {}) {
  const words = catalogues[code];
  const one = values.n === 1 ? words[`${key}.one`] : undefined;
  const text = one ?? words[key] ?? catalogues[BASIS][key] ?? key;
  const said = (value) => (typeof value === "number" ? number(value, 2) : String(value));
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? said(values[name]) : whole));
}

// Reports are plain text, the page has the sign.
const signed = (text) => text?.replace(/ \+- (?=\d)/g, " ± ");

// What the studio said, in the chosen language where it is known; else as it came. A place whose name begins with
// "said" is such a sentence itself.
export function said(told) {
  const text = signed(told);
  for (const [shape, places, words] of answers[code] || []) {
    const found = shape.exec(text);
    if (found) {
      return words.replace(/\{(\w+)\}/g, (whole, name) => {
        const value = found[places.indexOf(name) + 1] ?? whole;
        return name.startsWith("said") ? said(value) : value;
      });
    }
  }
  return text;
}

// The key's text in every language that was needed so far: by these Gradio's tabs are found.
export const everyWord = (key) => Object.values(catalogues).map((words) => words[key]).filter(Boolean);

export async function setLanguage(wanted) {
  await load(wanted);
  code = wanted;
  localStorage.setItem(KEPT, wanted);
  document.documentElement.lang = wanted;
  for (const listener of listeners) listener();
}

// Calls `act` at once and after each change: what it draws is always in the right language.
export function onLanguage(act) {
  listeners.add(act);
  act();
}

// Calls `act` after each change only, for what has just been drawn.
export const onNewLanguage = (act) => listeners.add(act);

export const number = (value, digits = 0) =>
  new Intl.NumberFormat(code, { maximumFractionDigits: digits }).format(value);

// With so many digits behind the point, zeros among them: for figures that stand below each other.
export const decimal = (value, digits) =>
  new Intl.NumberFormat(code, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = Math.min(Math.floor(Math.log10(Math.max(count, 1)) / 3), units.length - 1);
  return `${number(count / 1000 ** step, step > 1 ? 1 : 0)} ${units[step]}`;
}

export function day(value) {
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? String(value) : new Intl.DateTimeFormat(code, { dateStyle: "medium" }).format(date);
}

await Promise.all([load(BASIS), load(code)]);
document.documentElement.lang = code;
