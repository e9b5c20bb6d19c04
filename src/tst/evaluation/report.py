"""The report: one HTML page that stands alone (no request leaves it), for people to read and pass on."""

import base64
import colorsys
import io
import math
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import jinja2
import numpy as np
from PIL import Image

from tst.errors import UserError
from tst.evaluation import charts
from tst.evaluation.comparison import Comparison, caveats, points, verdict
from tst.evaluation.top_down import TopDown
from tst.files import write_bytes

MAX_BYTES = 8_000_000
SHOWN_FRAMES = 8


class Tokenizer(TypedDict):
    """A modality's tokenizer: scores by name, and a picture (file or bytes) of originals above reconstructions."""

    modality: str
    metrics: Mapping[str, float]
    picture: NotRequired[Path | bytes | None]


class Prediction(TypedDict):
    """One frame: `rgb` uint8 (H, W, 3); `truth` and each of `predictions` (model name -> mask) integer (h, w)."""

    id: str
    part: NotRequired[str | None]
    rgb: np.ndarray
    truth: np.ndarray
    predictions: Mapping[str, np.ndarray]


class Compute(TypedDict):
    """What one stage took."""

    stage: str
    seconds: float
    samples: NotRequired[int | None]
    device: NotRequired[str | None]


class Licence(TypedDict):
    """Under what terms something that went into the models stands."""

    what: str
    licence: str
    note: NotRequired[str | None]


# Muted, and told apart by lightness as well as hue; the first ones are for large surfaces.
_COLOURS = bytes.fromhex(
    "b4bfcc c9a16b e8dcc0 8d6e63 7fb5d5 c8703f 9a8f3c 4f8f5b d1607f 7d5ba6 "
    "3b6ea8 e3a5b8 e0b83d f0e05a 5aa9a0 4b5563 9ccc65 a1485a 6f7fd0 2f7a78"
)


def class_palette(classes: int) -> np.ndarray:
    """Colours for masks: (C, 3) uint8, the same for the same index always."""
    colours = np.frombuffer(_COLOURS, np.uint8).reshape(-1, 3)
    more = [
        [round(255 * v) for v in colorsys.hls_to_rgb(i * 0.618034 % 1, (0.45, 0.6, 0.72)[i % 3], 0.5)]
        for i in range(len(colours), classes)
    ]
    return np.vstack([colours, np.array(more, np.uint8).reshape(-1, 3)])[:classes]


def even_indices(count: int, shown: int = SHOWN_FRAMES) -> list[int]:
    """Choose `shown` of `count` frames at even distances: the middle of each of `shown` equal stretches."""
    shown = min(count, shown)
    return [int((i + 0.5) * count / shown) for i in range(shown)]


def write_report(
    out: Path,
    comparison: Comparison,
    *,
    title: str = "Test-space training report",
    curves: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    tokenizers: Sequence[Tokenizer] = (),
    predictions: Sequence[Prediction] = (),
    palette: np.ndarray | None = None,
    ignore: int = 255,
    data: Mapping[str, Any] | None = None,
    maps: Mapping[str, Sequence[TopDown]] | None = None,
    compute: Sequence[Compute] = (),
    licences: Sequence[Licence] = (),
    provenance: Mapping[str, Any] | None = None,
    warnings: Sequence[str] = (),
) -> Path:
    """Write the report as one HTML file; a section without content is left out.

    Args:
        out: the file (`.html`), or a folder, which gets `report.html`. An earlier report there is replaced.
        comparison: the scores; class names are its `classes`.
        title: of the page.
        curves: for each pre-training run, its metrics rows: `step`, `loss`, `val_loss`, and those of single modalities
            (`loss/rgb`, `val_loss/rgb`, or nested). Other keys are ignored.
        tokenizers: see `Tokenizer`.
        predictions: see `Prediction`, in order of the walk; of more than 8, 8 at even distances are shown.
        palette: (C, 3) uint8 colours of the classes.
        ignore: label of pixels that do not count.
        data: facts by name: spaces, frames, walks, modalities, size of the transfer set.
        maps: for each model, where in the space it is right, one map a floor.
        compute: see `Compute`.
        licences: see `Licence`.
        provenance: facts by name: version, seed, config hash, command.
        warnings: what the reader must know before the scores.

    Returns:
        The file written.

    Raises:
        UserError: the page would be larger than 8 MB, or a tokenizer's picture cannot be read.
    """
    out = out if out.suffix.lower() in (".html", ".htm") else out / "report.html"
    names = [c.name for c in comparison.classes]
    colours = class_palette(len(names)) if palette is None else np.asarray(palette, np.uint8)
    assert colours.shape == (len(names), 3), "one colour for each class"
    jinja = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    jinja.filters.update(points=points, duration=_duration, fact=_fact, human=_human, count=_count, tick=charts.number)
    page = jinja.from_string(resources.files("tst.evaluation").joinpath("report.html.j2").read_text("utf-8"))
    context = {
        "title": title,
        "c": comparison,
        "verdict": verdict(comparison),
        "caveats": caveats(comparison),
        "colours": ["#" + bytes(colour).hex() for colour in colours],
        "scores": _scores(comparison),
        "differences": _differences(comparison),
        "classes": _class_rows(comparison),
        "confusion": _confusion(comparison),
        "curves": [_curve(name, rows) for name, rows in (curves or {}).items() if rows],
        "maps": _maps(maps or {}),
        "data": data or {},
        "compute": compute,
        "licences": licences,
        "provenance": provenance or {},
        "warnings": warnings,
    }
    for side, frames in ((448, SHOWN_FRAMES), (320, 6), (224, 4)):
        shown = [predictions[i] for i in even_indices(len(predictions), frames)]
        context["predictions"] = _pictures(shown, comparison, colours, ignore, side)
        context["tokenizers"] = [_tokenizer(tokenizer, 3 * side) for tokenizer in tokenizers]
        html = page.render(context).encode()
        if len(html) <= MAX_BYTES:
            write_bytes(out, html)
            return out
    size = f"{len(html) / 1e6:.0f} MB"
    raise UserError(f"{out}: the report would be {size}, over the limit of 8. Leave out some tokenizer pictures.")


def _scores(comparison: Comparison) -> dict[str, Any]:
    marks = charts.ticks(0, max(max(row.ci95[1], *row.seeds, row.miou) for row in comparison.rows), 5)
    known = ("pretrain_samples", "pretrain_seconds", "transfer_seconds", "parameters")
    filled = {key: None for row in comparison.rows for key, value in row.extra.items() if value is not None}
    return {
        "marks": marks,
        "bars": [charts.score_bar(row.miou, row.ci95, row.seeds, marks) for row in comparison.rows],
        "extras": [key for key in known if key in filled] + [key for key in filled if key not in known],
        "several_seeds": any(len(row.seeds) > 1 for row in comparison.rows),
        "validated": any(row.transfer_val_miou is not None for row in comparison.rows),
    }


def _differences(comparison: Comparison) -> list[dict[str, Any]]:
    """Every pair, those of the subject first."""
    subject = comparison.subject.name
    pairs = [comparison.difference(subject, row.name) for row in comparison.rows if row.name != subject]
    pairs += [d for d in comparison.differences if subject not in (d.a, d.b)]
    low, high = min((0.0, *(d.ci95[0] for d in pairs))), max((0.0, *(d.ci95[1] for d in pairs)))
    pad = 0.04 * (high - low) or 1.0
    return [{"d": d, "mark": charts.interval_mark(d.difference, d.ci95, (low - pad, high + pad))} for d in pairs]


def _class_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Classes present, largest first; `change` is subject minus baseline."""
    subject, baseline = comparison.subject, comparison.baseline
    rows = []
    for index, found in enumerate(comparison.classes):
        if not found.present:
            continue
        values = [row.per_class[found.name] for row in comparison.rows]
        a, b = subject.per_class[found.name], baseline.per_class[found.name]
        rows.append(
            {
                "name": found.name,
                "index": index,
                "share": found.share,
                "values": values,
                "best": max((value for value in values if value is not None), default=None),
                "change": a - b if a is not None and b is not None and subject is not baseline else None,
            }
        )
    return sorted(rows, key=lambda row: -row["share"])


def _confusion(comparison: Comparison) -> dict[str, Any]:
    """The best model's confusion in percent of each true class, in the order of the class table.

    Absent classes have no row, and a column only if they are predicted.
    """
    matrix = np.array(comparison.best.confusion, np.float64)
    truth = matrix.sum(1)
    rows = sorted(np.flatnonzero(truth > 0), key=lambda i: -truth[i])
    columns = rows + [i for i in range(len(matrix)) if truth[i] == 0 and matrix[:, i].sum() > 0]
    names = [c.name for c in comparison.classes]
    return {
        "columns": [names[i] for i in columns],
        "longest": min(28, max(len(names[i]) for i in columns)),  # characters
        "rows": [
            {"name": names[i], "cells": [(100 * matrix[i, j] / truth[i], bool(i == j)) for j in columns]} for i in rows
        ],
    }


_LOSS = re.compile(r"^(?P<val>val(?:idation)?[_/])?loss(?:es)?(?:[_/.](?P<modality>.+))?$")


def _flatten(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in row.items():
        flat |= _flatten(value, f"{prefix}{key}/") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _curve(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Charts of one run: the whole loss first, then those of single modalities."""
    series: dict[str | None, dict[str, list[tuple[float, float]]]] = {}
    end = 0.0
    for row in map(_flatten, rows):
        step = row.get("step")
        if step is None:
            continue
        end = max(end, float(step))
        for key, value in row.items():
            match = _LOSS.match(key)
            if match and isinstance(value, int | float) and math.isfinite(value):
                kind = "val" if match["val"] else "train"
                series.setdefault(match["modality"], {}).setdefault(kind, []).append((float(step), float(value)))
    plots = []
    if None in series and len(series) == 2:  # one modality: its loss is the whole
        series = {None: series[None]}
    for modality, kinds in sorted(series.items(), key=lambda item: item[0] is not None):
        lines = []
        for kind in ("train", "val"):
            spots = np.array(sorted(kinds.get(kind, [])), np.float64).reshape(-1, 2)
            lines.append(charts.Line(kind, kind, *charts.thin(spots[:, 0], spots[:, 1])))
        finals = {line.kind: float(line.ys[-1]) for line in lines if len(line.ys)}
        what = modality or "loss"
        chart = charts.line_chart(lines, f"{name}: {what} over steps", x_end=end)
        plots.append({"what": what, "whole": modality is None, "chart": chart, "finals": finals})
    return {"name": name, "plots": plots}


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _photo(image: Image.Image, side: int) -> str:
    image = image.convert("RGB")
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=82, method=4)
    return _data_uri("webp", buffer.getvalue())


def _mask(mask_HW: np.ndarray, colours: np.ndarray, ignore: int, side: int) -> str:
    """A mask as a palette PNG; pixels that do not count are see-through."""
    height, width = mask_HW.shape
    scale = min(1.0, side / max(height, width))
    rows = ((np.arange(round(height * scale)) + 0.5) / scale).astype(int).clip(max=height - 1)
    columns = ((np.arange(round(width * scale)) + 0.5) / scale).astype(int).clip(max=width - 1)
    small = mask_HW[np.ix_(rows, columns)]
    blank = (small == ignore) | (small < 0) | (small >= len(colours))
    buffer = io.BytesIO()
    if len(colours) <= 255:
        image = Image.fromarray(np.where(blank, 255, small).astype(np.uint8))
        image.putpalette(np.vstack([colours, np.zeros((256 - len(colours), 3), np.uint8)]).tobytes())
        image.save(buffer, "PNG", optimize=True, transparency=255)
    else:
        alpha = np.where(blank, 0, 255).astype(np.uint8)
        Image.fromarray(np.dstack([colours[np.where(blank, 0, small)], alpha])).save(buffer, "PNG", optimize=True)
    return _data_uri("png", buffer.getvalue())


def _pictures(
    shown: Sequence[Prediction], comparison: Comparison, colours: np.ndarray, ignore: int, side: int
) -> dict[str, Any]:
    frames = []
    seen: set[int] = set()
    names = [row.name for row in comparison.rows]
    for example in shown:
        truth = np.asarray(example["truth"])
        masks: list[tuple[str, float | None, np.ndarray]] = [("truth", None, truth)]
        for name in sorted(example["predictions"], key=lambda n: names.index(n) if n in names else len(names)):
            mask = np.asarray(example["predictions"][name])
            kept = truth != ignore
            right = 100 * float((mask == truth)[kept].mean()) if mask.shape == truth.shape and kept.any() else None
            masks.append((name, right, mask))
        seen.update(int(label) for _, _, mask in masks for label in np.unique(mask))
        frames.append(
            {
                "id": example["id"],
                "part": example.get("part"),
                "photo": _photo(Image.fromarray(np.asarray(example["rgb"], np.uint8)), side),
                "size": (example["rgb"].shape[1], example["rgb"].shape[0]),
                "masks": [(name, right, _mask(mask, colours, ignore, side)) for name, right, mask in masks],
            }
        )
    return {"frames": frames, "legend": [i for i in range(len(colours)) if i in seen], "unlabelled": ignore in seen}


def _maps(maps: Mapping[str, Sequence[TopDown]]) -> list[dict[str, Any]]:
    """Floor by floor, the picture and the share of each model."""
    floors: dict[str, list[tuple[str, float, str]]] = {}
    for model, found in maps.items():
        for item in found:
            share = 100 * float(item.right.sum()) / max(int(item.total.sum()), 1)
            picture = _photo(Image.fromarray(item.picture()), 640)
            floors.setdefault(item.name, []).append((model, share, picture))
    return [{"name": name, "models": models} for name, models in floors.items()]


def _tokenizer(tokenizer: Tokenizer, side: int) -> dict[str, Any]:
    picture = tokenizer.get("picture")
    uri = None
    if picture is not None:
        try:
            image = Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture)
            uri = _photo(image, side)
        except OSError as error:
            raise UserError(
                f"tokenizer of {tokenizer['modality']}: its picture cannot be read ({error}). Tokenize again."
            ) from None
    return {"modality": tokenizer["modality"], "metrics": tokenizer["metrics"], "picture": uri}


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _count(value: float) -> str:
    return f"{value:,}".replace(",", "\u202f")


def _human(name: str) -> str:
    return name.replace("_", " ").strip()


def _fact(value: Any) -> str:
    """A fact in words: lists with commas, large numbers grouped."""
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case int():
            return _count(value) if abs(value) >= 10_000 else str(value)
        case float():
            return f"{value:.4g}"
        case Mapping():
            return ", ".join(f"{_human(str(key))} {_fact(item)}" for key, item in value.items())
        case list() | tuple() | set():
            return ", ".join(_fact(item) for item in value)
    return str(value)
