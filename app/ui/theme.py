"""One theme: warm paper, ink, one accent; bundled fonts only, so nothing is fetched."""

from __future__ import annotations

import gradio as gr

ACCENT = "#c2410c"

THEME = gr.themes.Base(
    primary_hue=gr.themes.colors.orange, secondary_hue=gr.themes.colors.amber,
    neutral_hue=gr.themes.colors.stone, radius_size=gr.themes.sizes.radius_lg,
    font=["system-ui", "-apple-system", "Segoe UI", "sans-serif"],
    font_mono=["ui-monospace", "Menlo", "monospace"],
).set(
    body_background_fill="#faf7f2", body_background_fill_dark="#181512",
    block_background_fill="#ffffff", block_background_fill_dark="#211d19",
    block_border_width="1px", block_shadow="none",
    # Gradio's own grey is too pale to be read on paper: 2.4 to 1.
    body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="*neutral_400",
    button_primary_background_fill=ACCENT, button_primary_background_fill_hover="#9a3412",
    button_primary_background_fill_dark=ACCENT, button_primary_text_color="#ffffff",
)

CSS = """
.gradio-container { max-width: 1240px !important; width: 100% !important; margin: 0 auto !important; }
footer { display: none !important; }
#brand { display: flex; align-items: baseline; gap: 14px; padding: 10px 2px 2px; flex-wrap: wrap; }
#brand h1 { font-size: 26px; font-weight: 750; letter-spacing: -0.02em; margin: 0; }
#brand span { color: var(--body-text-color-subdued); font-size: 15px; }
.s-strip { display: flex; gap: 6px; flex-wrap: wrap; } .s-strip img { width: 64px; height: 64px; object-fit: cover;
  border-radius: 8px; } .s-about p { margin: 8px 0 0; font-size: 14px; }
.s-panel { display: flex; flex-direction: column; gap: 14px; min-height: 120px; }
.s-empty { color: var(--body-text-color-subdued); padding: 40px 20px; text-align: center;
  border: 1px dashed var(--border-color-primary); border-radius: 12px; line-height: 1.6; }
.s-head { display: flex; justify-content: space-between; align-items: baseline; gap: 10px; flex-wrap: wrap; }
.s-head b { font-size: 19px; }
.s-state { font-size: 13px; font-weight: 650; padding: 3px 11px; border-radius: 99px; color: #fff;
  background: #78716c; }
.s-state[data-state=running] { background: #c2410c; } .s-state[data-state=finished] { background: #15803d; }
.s-state[data-state=failed] { background: #b91c1c; }
.s-bar { height: 9px; border-radius: 9px; background: var(--border-color-primary); overflow: hidden; }
.s-bar i { display: block; height: 100%; background: #c2410c; transition: width .4s; }
.s-facts { display: flex; gap: 26px; flex-wrap: wrap; font-size: 14px; }
.s-facts div { display: flex; flex-direction: column; }
.s-facts small { color: var(--body-text-color-subdued); font-size: 12px; }
.s-facts b { font-variant-numeric: tabular-nums; font-size: 16px; }
.s-note { padding: 10px 14px; border-radius: 10px; background: #fef3c7; color: #713f12; font-size: 14px; }
.s-note.bad { background: #fee2e2; color: #7f1d1d; }
.s-note.good { background: #dcfce7; color: #14532d; }
.dark .s-note { background: #3a2f12; color: #fde68a; } .dark .s-note.bad { background: #3f1d1d; color: #fecaca; }
.dark .s-note.good { background: #14321f; color: #bbf7d0; }
/* Gradio's orange for the open tab is too pale on paper: 2.6 to 1. */
.gradio-container [role=tab][aria-selected=true] { color: #c2410c !important; }
.dark .gradio-container [role=tab][aria-selected=true], .gradio-container.dark [role=tab][aria-selected=true] {
  color: #fb923c !important; }
/* Gradio measures the tabs in a copy of the bar; unseen, it takes no focus and is read by nobody. What finds no room
   there goes into a menu that few would look for: all of them do, and the bar has lines enough. */
.tab-container.visually-hidden { visibility: hidden; }
.tab-container.visually-hidden button { font-size: 0 !important; padding: 0 !important; min-width: 0 !important; }
.tab-container { flex-wrap: wrap; height: auto !important; } .tab-container button { min-height: var(--size-8); }
.s-grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(190px, 1fr)); gap: 14px; }
.s-grid figure { margin: 0; } .s-grid img { width: 100%; border-radius: 10px; display: block; }
.s-grid figcaption { font-size: 12px; color: var(--body-text-color-subdued); padding: 4px 2px; }
.s-pair { display: grid; grid-template-columns: 1fr 1fr; gap: 6px; }
.s-card { border: 1px solid var(--border-color-primary); border-radius: 12px; padding: 12px; display: flex;
  flex-direction: column; gap: 8px; background: var(--block-background-fill); }
.s-card .s-thumb { width: 100%; aspect-ratio: 1; border-radius: 9px; object-fit: cover;
  background: var(--border-color-primary); }
.s-card b { font-size: 16px; overflow-wrap: anywhere; }
.s-card small { color: var(--body-text-color-subdued); line-height: 1.5; }
.s-card code { background: var(--border-color-primary); border-radius: 6px; padding: 1px 6px; font-size: 13px; }
.s-card a { color: #c2410c; font-size: 14px; font-weight: 600; text-decoration: none; }
.dark .s-card a { color: #fb923c; }
.s-links { display: flex; gap: 4px 14px; flex-wrap: wrap; } .s-links a { padding: 0 !important; }
@media (max-width: 520px) {
  /* Gradio puts its own .gradio-container before what stands in here: one more would match nothing. */
  .tab-container:not(.visually-hidden) button { padding: 0 5px !important; font-size: 13px !important;
    min-width: 0 !important; flex: none; }
}
"""
