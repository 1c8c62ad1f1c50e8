// Which draft the Concepts room sends to the Train room: told at once, and kept for a room that is not drawn yet.
const WANTED = "semblance.teach";
const NAME = "semblance:teach";

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
