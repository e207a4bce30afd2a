"""The page on which a person approves that a device logs in. Texts that go in are escaped already."""

from __future__ import annotations

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 15vh auto; padding: 0 1rem; color: #222 }
h1 { font-size: 1.3rem } code { font-size: 1.4rem; letter-spacing: .1em }
label { display: block; margin: .8rem 0 } input { display: block; width: 100%; font: inherit; padding: .4rem }
button { font: inherit; padding: .5rem 1.2rem; margin-top: 1rem }
@media (prefers-color-scheme: dark) { body { background: #1b1b1b; color: #eee } }
"""
_PERSON = """
<label>E-mail address <input name="username" type="email" autocomplete="username" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
"""


def ask_page(code: str, *, is_open: bool) -> str:
    """Asks whether the device with this code may log in, and who says so unless the server is open."""
    form = (
        f"<p>A device asks to log in. Compare the code that it shows:</p><p><code>{code}</code></p>"
        f'<form method="post"><input type="hidden" name="user_code" value="{code}">'
        f"{'' if is_open else _PERSON}<button>Approve</button></form>"
    )
    return _page("Approve a device", form)


def told_page(title: str, words: str) -> str:
    """Tells what came of it."""
    return _page(title, f"<p>{words}</p>")


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} - specrunner</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1>{body}</body></html>"
    )
