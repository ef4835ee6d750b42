"""Pieces of one self-contained HTML page: no script, no font, nothing from outside."""

import base64
import html
from collections.abc import Sequence
from pathlib import Path

STYLE = """
:root { color-scheme: light dark; --paper: #fcfcfb; --card: #ffffff; --ink: #22262e;
  --faint: #6b7280; --line: #e3e5e8; --good: #1a7f4b; --bad: #b42318;
  --curve: #2f5fd0; }
@media (prefers-color-scheme: dark) { :root { --paper: #15171b; --card: #1c1f25;
  --ink: #e6e8ec; --faint: #9aa1ad; --line: #30343c; --good: #4cc38a; --bad: #f2766b;
  --curve: #7ea2ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 40px 24px 80px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 20px; margin: 48px 0 4px; letter-spacing: -0.01em; }
h3 { font-size: 15px; margin: 20px 0 8px; }
p { margin: 4px 0 14px; color: var(--faint); max-width: 72ch; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: 10px 14px; text-align: left; vertical-align: top;
  border-top: 1px solid var(--line); }
thead th { border-top: 0; font-size: 12px; font-weight: 600; color: var(--faint); }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.faint { color: var(--faint); font-size: 12px; }
.good { color: var(--good); } .bad { color: var(--bad); }
.prompt { min-width: 150px; max-width: 230px; }
.pictures { display: flex; flex-wrap: wrap; gap: 6px; }
.four { width: 128px; } .four figure { width: 60px; }
.caption { max-width: 200px; margin-top: 6px; display: -webkit-box; overflow: hidden;
  -webkit-box-orient: vertical; -webkit-line-clamp: 5; }
figure { margin: 0; text-align: center; line-height: 1; }
figure img { display: block; image-rendering: pixelated; border-radius: 4px;
  outline: 2px solid transparent; }
figure.good img { outline-color: var(--good); }
figure.bad img { outline-color: var(--bad); }
figcaption { font-size: 12px; padding-top: 4px; }
.charts { display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fill, minmax(290px, 1fr)); }
.chart { width: 100%; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; }
.chart text { font: 11px system-ui, sans-serif; fill: var(--faint); }
.chart .name { font-weight: 600; font-size: 10px; fill: var(--ink); }
.chart .change { text-anchor: end; }
.chart .rule { stroke: var(--line); } .chart .end { fill: var(--curve); }
.chart .curve { fill: none; stroke: var(--curve); stroke-width: 1.6;
  stroke-linejoin: round; }
"""


def document(title: str, sections: Sequence[str]) -> str:
    """The whole page; empty sections are left out."""
    body = "\n".join(section for section in sections if section)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE}</style></head>"
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def text(value: object) -> str:
    """Anything, a model's words included, as text that stays text."""
    return html.escape(str(value))


def section(title: str, note: str, *parts: str) -> str:
    """A heading, a sentence below it, and the parts."""
    return f"<h2>{text(title)}</h2><p>{text(note)}</p>{''.join(parts)}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """`head` is text; cells are pieces of HTML, `<td>` and all."""
    top = "".join(f"<th>{text(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    return (
        f'<div class="scroll"><table><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def cell(inside: str, kind: str = "") -> str:
    return f'<td class="{kind}">{inside}</td>' if kind else f"<td>{inside}</td>"


def mark(good: bool) -> str:
    """A tick or a cross."""
    word, sign = ("good", "✓") if good else ("bad", "✗")
    name = "right" if good else "wrong"
    return f'<span class="{word}" aria-label="{name}">{sign}</span>'


def picture(png: Path | bytes, side: int = 72, good: bool | None = None) -> str:
    """A PNG inside the page, `side` pixels wide, its judgement below it."""
    data = png if isinstance(png, bytes) else png.read_bytes()
    source = "data:image/png;base64," + base64.b64encode(data).decode()
    image = f'<img src="{source}" width="{side}" alt="">'
    if good is None:
        return f"<figure>{image}</figure>"
    word = "good" if good else "bad"
    verdict = f"<figcaption>{mark(good)}</figcaption>"
    return f'<figure class="{word}">{image}{verdict}</figure>'


def pictures(figures: Sequence[str], kind: str = "") -> str:
    """Pictures next to each other."""
    return f'<div class="pictures {kind}">{"".join(figures)}</div>'


def faint(value: object) -> str:
    """A small line of text."""
    return f'<span class="faint caption">{text(value)}</span>'
