// Makes elements. What people typed goes in as text, never as markup.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && typeof value !== "string") element[key] = value;
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

export const button = (label, click, attributes = {}) =>
  make("button", { type: "button", class: "s-button", onclick: click, ...attributes }, label);

// A line at the foot of the page, with one thing that can be done about it.
export function toast(text, action = null) {
  document.querySelector(".s-toast")?.remove();
  const close = () => box.remove();
  const box = make("div", { class: "s-toast", role: "status" }, make("span", {}, text),
    action && button(action.label, () => { close(); action.run(); }, { class: "s-button s-quiet" }),
    button("×", close, { class: "s-button s-quiet", "aria-label": "Close" }));
  document.body.append(box);
  setTimeout(close, 12000);
}

export const complain = (error) => toast(error.message || String(error));

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
