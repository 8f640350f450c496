"""How the page looks: its style sheet and its theme."""

import gradio as gr

STYLE = """
main { max-width: 1360px !important; margin-inline: auto !important; }
#status { min-height: 72px; scroll-margin-top: 8px; }
#status p {
  margin: 0; padding: 12px 16px; border: 1px solid var(--border-color-primary); border-radius: 8px;
  color: var(--body-text-color); background: var(--block-background-fill);
}
#status p[role="alert"] { border: 2px solid var(--error-border-color, #b91c1c); font-weight: 600; }
/* Gradio calls some stopped runs an error; what went wrong is said in the text anyway. */
#status [data-testid="status-tracker"]:has(.error) { display: none; }
#status:has([data-testid="status-tracker"]:not(.hide, :has(.error))) p { visibility: hidden; }
#slider img { image-rendering: pixelated; }
.examples .grid-wrap { min-height: 0 !important; height: auto !important; max-height: none !important; }
.examples .caption-label { font-size: 12px; padding: 2px 6px; max-width: calc(100% - 8px); }
"""


def theme() -> gr.themes.Base:
    # Only fonts that the visitor's machine has: gr.themes.GoogleFont would be fetched.
    return gr.themes.Soft(
        primary_hue="indigo",
        neutral_hue="slate",
        font=["system-ui", "Segoe UI", "Roboto", "Helvetica", "Arial", "sans-serif"],
        font_mono=["ui-monospace", "Consolas", "monospace"],
    )
