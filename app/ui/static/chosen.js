// What rooms tell each other of a draft: that Concepts sends it to Train, and what was chosen for it there.
const WANTED = "semblance.teach";
const NAME = "semblance:teach";
const CHOSEN = "semblance.train"; // what was chosen for each draft, so that a reload finds it
const MOST = 20; // drafts of which that is kept

export function teach(draft) {
  sessionStorage.setItem(WANTED, draft);
  document.dispatchEvent(new CustomEvent(NAME, { detail: draft }));
}

// Calls `take(draft)` for the draft that was sent last, if any, and for each that is sent from now on.
export function onTeach(take) {
  const takeOnce = (draft) => {
    sessionStorage.removeItem(WANTED);
    take(draft);
  };
  document.addEventListener(NAME, (event) => takeOnce(event.detail));
  const waiting = sessionStorage.getItem(WANTED);
  if (waiting) takeOnce(waiting);
  return Boolean(waiting);
}

function all() {
  try {
    return JSON.parse(localStorage.getItem(CHOSEN) || "{}");
  } catch {
    return {};
  }
}

export const chosenFor = (draft) => all()[draft];

// The base that a draft is going to be taught to, as far as one was chosen.
export const baseFor = (draft) => chosenFor(draft)?.chosen?.base || "starter";

// How a draft is going to be learned, as far as it was chosen; `method` is another than that, which has no settings yet.
export function learnedBy({ id, things }, method = "") {
  const found = chosenFor(id);
  const kept = found?.things === things.length ? found : {};
  const settings = !method || method === kept.method ? kept.settings : {};
  return { base: baseFor(id), preset: kept.chosen?.preset || "balanced", memory: kept.chosen?.memory || "",
           method: method || kept.method || "", settings: settings || {} };
}

export function keepChosen(draft, chosen) {
  const others = Object.entries(all()).filter(([id]) => id !== draft).slice(1 - MOST);
  localStorage.setItem(CHOSEN, JSON.stringify(Object.fromEntries([...others, [draft, chosen]])));
}
