"""The sentences that raters see, by language: `pages/texts/LANGUAGE.yaml`."""

from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import yaml

PAGES = Path(__file__).parent / "pages"


@cache
def load_texts() -> dict[str, dict[str, Any]]:
    """Language (two letters) -> key -> sentence or list of sentences. English comes first."""
    files = sorted((PAGES / "texts").glob("*.yaml"), key=lambda file: (file.stem != "en", file.stem))
    return {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in files}


def preferred_language(accept_language: str) -> str:
    """The first language of the browser's list that there are texts in; English where there is none."""
    for wanted in accept_language.split(","):
        language = wanted.split(";")[0].strip()[:2].lower()
        if language in load_texts():
            return language
    return "en"


def message_page(key: str) -> str:
    """A page of HTML that says the sentences KEY_title and KEY_text in every language.

    Where there is a KEY_button, it is below and posts to the page's own address.
    """
    parts = [
        f'<section lang="{language}"><h1>{escape(words[f"{key}_title"])}</h1>'
        f"<p>{escape(words[f'{key}_text'])}</p>{_button(words.get(f'{key}_button'))}</section>"
        for language, words in load_texts().items()
    ]
    template = (PAGES / "message.html").read_text(encoding="utf-8")
    return template.replace("{title}", escape(load_texts()["en"][f"{key}_title"])).replace("{parts}", "\n".join(parts))


def _button(label: str | None) -> str:
    if label is None:
        return ""
    return f'<form method="post"><p class="actions"><button class="main">{escape(label)}</button></p></form>'
