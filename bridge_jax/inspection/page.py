"""Findings as one self-contained page: figures, charts, and rows as models get them."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from bridge_jax.data.processor import Processor
from bridge_jax.eval.pages import page
from bridge_jax.inspection import histogram, lines, pixels, spans
from bridge_jax.inspection.findings import Findings

SIDE = 120  # pixels of a picture on the page
STYLE = """<style>
.words { white-space: pre-wrap; overflow-wrap: anywhere; min-width: 320px;
  font: 13px/1.6 ui-monospace, monospace; }
.learnt { background: color-mix(in srgb, var(--good) 22%, transparent);
  border-radius: 3px; }
.seen { color: var(--curve); border: 1px solid var(--line); border-radius: 3px;
  padding: 0 4px; }
.segment { display: block; border-left: 3px solid var(--line); padding-left: 8px;
  margin-bottom: 6px; }
.bar { fill: var(--curve); }
</style>"""


def make(found: Sequence[Findings], processor: Processor) -> str:
    """The page."""
    head = (
        f"{STYLE}<h1>Data, looked at</h1><p>Green is learnt, blue is seen; everything"
        " else is read. Pictures are what the model is given: cut to size, resized.</p>"
    )
    parts = [head, *(_stream(one, processor) for one in found)]
    return page.document("Data", parts)


def _stream(found: Findings, processor: Processor) -> str:
    facts = [
        [page.cell(page.text(name)), page.cell(page.text(what))]
        for name, what in lines.facts(found)
    ]
    fields = [
        [page.cell(page.text(name)), page.cell(page.text(what))]
        for name, what in found.fields.items()
    ]
    charts = "".join(
        histogram.chart(what, values)
        for what, values in found.sizes.items()
        if len(values)
    )
    rows = [[page.cell(_pictures(row, processor)), page.cell(_words(row, processor))]
            for row in found.rows]  # fmt: skip
    settings = ", ".join(f"{name} = {value}" for name, value in found.settings.items())
    return page.section(
        lines.title(found),
        settings,
        page.table(("", "found"), facts),
        f'<h3>Sizes</h3><div class="charts">{charts}</div>' if charts else "",
        "<h3>A record</h3>" + page.table(("field", "holds"), fields) if fields else "",
        "<h3>Rows</h3>" + page.table(("pictures", "words"), rows),
    )


def _pictures(row: Mapping[str, Any], processor: Processor) -> str:
    shown = []
    if "images" in row:
        shown.append(np.asarray(row["images"]))
    for fields in _vlms(row).values():
        if "patches" in fields:
            names = ("patches", "coordinates", "patch_segments")
            arrays = [fields[name] for name in names]
            shown += pixels.frames(*arrays, processor.config.patch)
    return page.pictures([page.picture(_png(one), SIDE) for one in shown])


def _words(row: Mapping[str, Any], processor: Processor) -> str:
    parts = []
    for name, fields in _vlms(row).items():
        weights = row.get("loss_mask") if name == "vlm" else None
        found = spans.of_row(processor.llm, fields, weights)
        room = len(fields["tokens"])
        used = sum(span.tokens for span in found)
        parts.append(page.faint(f"{name}: {used} of {room} tokens"))
        parts.append(f'<div class="words">{_segments(found)}</div>')
    for side, tokenizer in (("t5", processor.mt5), ("bert", processor.bert)):
        if f"{side}_tokens" in row:
            kept = np.asarray(row[f"{side}_tokens"])[np.asarray(row[f"{side}_mask"])]
            said = page.text(tokenizer.decode(kept))
            parts.append(
                page.faint(f"{side}: {len(kept)} of {row[f'{side}_mask'].size}")
            )
            parts.append(f'<div class="words">{said}</div>')
    return "".join(parts)


def _segments(found: Sequence[spans.Span]) -> str:
    numbers = dict.fromkeys(span.segment for span in found)
    return "".join(
        f'<span class="segment">'
        f"{''.join(_span(span) for span in found if span.segment == number)}</span>"
        for number in numbers
    )


def _span(span: spans.Span) -> str:
    words = f"picture, {span.tokens} tokens" if span.kind == "seen" else span.text
    return f'<span class="{span.kind}">{page.text(words)}</span>'


def _vlms(row: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The fields that a language model reads, side by side in retrieval."""
    return {name: row[name] for name in row if name.startswith("vlm")}


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()
