// Light, dark, or as the system is; kept in this browser. Gradio sets `dark` on the body once, this sets it again.
const KEPT = "semblance.theme";
export const THEMES = ["system", "light", "dark"];
const system = matchMedia("(prefers-color-scheme: dark)");

const kept = () => THEMES.find((name) => name === localStorage.getItem(KEPT));

export const theme = () => kept() || "system";

const dark = () => (theme() === "system" ? system.matches : theme() === "dark");

function apply() {
  if (!kept()) return; // Gradio's own choice stands until a person makes one
  if (document.body.classList.contains("dark") !== dark()) document.body.classList.toggle("dark", dark());
  document.documentElement.style.colorScheme = dark() ? "dark" : "light";
}

export function setTheme(wanted) {
  localStorage.setItem(KEPT, wanted);
  apply();
}

system.addEventListener("change", apply);
new MutationObserver(apply).observe(document.body, { attributes: true, attributeFilter: ["class"] });
apply();
