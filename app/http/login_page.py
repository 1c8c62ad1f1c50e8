"""The login page: HTML without a script, in the studio's colours and languages."""

from __future__ import annotations

import json
from functools import cache
from html import escape

from app.ui.concepts import STATIC
from app.ui.theme import ACCENT

_LANGUAGES = ("en", "de")
_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>{title} · Semblance</title><style>
:root {{ --ground: #faf7f2; --card: #fff; --ink: #1c1917; --soft: #57534e; --line: #a8a29e; --bad: #fee2e2;
  --bad-ink: #7f1d1d; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ground: #181512; --card: #211d19; --ink: #f5f5f4; --soft: #d6d3d1;
  --line: #78716c; --bad: #450a0a; --bad-ink: #fecaca; }} }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--ground); color: var(--ink);
  font-family: system-ui, -apple-system, "Segoe UI", sans-serif; }}
main {{ width: min(360px, calc(100vw - 40px)); background: var(--card); border: 1px solid var(--line);
  border-radius: 14px; padding: 26px; box-sizing: border-box; }}
h1 {{ font-size: 26px; letter-spacing: -0.02em; margin: 0 0 2px; }} p {{ margin: 0 0 18px; color: var(--soft); }}
label {{ display: block; font-weight: 600; font-size: 14px; margin: 14px 0 5px; }}
input, button {{ width: 100%; box-sizing: border-box; font: inherit; padding: 11px 12px; border-radius: 10px; }}
input {{ border: 1px solid var(--line); background: var(--ground); color: var(--ink); }}
button {{ margin-top: 20px; border: 0; background: {accent}; color: #fff; font-weight: 650; cursor: pointer; }}
:focus-visible {{ outline: 3px solid {accent}; outline-offset: 2px; }}
p.bad {{ background: var(--bad); color: var(--bad-ink); padding: 10px 14px; border-radius: 10px; margin: 0; }}
</style></head><body><main><h1>Semblance</h1><p>{about}</p>{problem}
<form method="post" action="/login"><input type="hidden" name="next" value="{next}">
<label for="name">{name}</label>
<input id="name" name="name" value="{given}" autocomplete="username" autocapitalize="none" maxlength="64"
  required{first}>
<label for="password">{password}</label>
<input id="password" name="password" type="password" autocomplete="current-password" maxlength="1000" required{second}>
<button type="submit">{enter}</button></form></main></body></html>
"""


@cache
def _words(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((STATIC / "i18n" / f"{language}.json").read_text("utf-8"))
    return found


def language_of(wanted: str, accepted: str) -> str:
    """The language that was asked for, else the first that the browser likes and the studio has."""
    liked = [part.split(";")[0].strip()[:2].lower() for part in accepted.split(",")]
    return next((code for code in (wanted, *liked) if code in _LANGUAGES), _LANGUAGES[0])


def login_page(language: str, next: str, problem: str = "", given: str = "") -> str:
    """The page; `problem` is the key of a sentence about what went wrong, `next` where to go afterwards."""
    words = _words(language)
    said = f'<p class="bad" role="alert" id="problem">{escape(words[problem])}</p>' if problem else ""
    focus = " autofocus"
    return _PAGE.format(language=language, accent=ACCENT, title=escape(words["login.title"]),
                        about=escape(words["login.about"]), problem=said, next=escape(next, quote=True),
                        name=escape(words["login.name"]), given=escape(given, quote=True),
                        password=escape(words["login.password"]), enter=escape(words["login.enter"]),
                        first="" if given else focus, second=focus if given else "")
