"""Under what terms weights stand."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

UNKNOWN = "not stated"
_NON_COMMERCIAL = re.compile(r"\bnc\b|non-?\s?commercial|research[- ]only", re.IGNORECASE)


def is_non_commercial(licence: str) -> bool:
    """Whether a licence forbids commercial use, by its name or its words."""
    return bool(_NON_COMMERCIAL.search(licence))


def licence_of(path: Path, default: str) -> str:
    """The licence on the model card beside the weights (`README.md`, as hubs write it), else `default`.

    Args:
        default: what the authors published the weights under. If that is non-commercial it stands, whatever the card
            says: cards are written by whoever uploaded the file.
    """
    card = (path if path.is_dir() else path.parent) / "README.md"
    if is_non_commercial(default) or not card.is_file():
        return default
    head = card.read_text(encoding="utf-8", errors="replace").partition("\n---")[0]
    if not head.startswith("---"):
        return default
    stated = dict(re.findall(r"^(license|license_name):\s*[\"']?([^\"'\n]+?)[\"']?\s*$", head, re.MULTILINE))
    named = stated.get("license_name") if stated.get("license", "other") == "other" else stated["license"]
    return named or default


def tell(name: str, licence: str) -> None:
    """Say on standard error under what terms something stands; loudly where commercial use is forbidden."""
    if is_non_commercial(licence):
        print(f"{name}: NON-COMMERCIAL USE ONLY ({licence}), and so is every model derived from it.", file=sys.stderr)
    else:
        print(f"{name}: licence {licence}", file=sys.stderr)


def merged(*licences: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Each entry once, in order."""
    return [dict(item) for item in dict.fromkeys(tuple(item.items()) for items in licences for item in items)]


def entry(name: str, licence: str, note: str) -> dict[str, str]:
    """A licence as `tst.runs.Run` and the report take it."""
    if is_non_commercial(licence):
        note = f"NON-COMMERCIAL: what is derived from it must not be used commercially; {note}"
    return {"what": name, "licence": licence, "note": note}
