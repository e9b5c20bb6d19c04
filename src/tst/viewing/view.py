"""Opening walks in Rerun, or saving them as a recording. Nothing leaves the machine (offline.py)."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from tst.errors import UserError
from tst.files import atomic_path
from tst.space.space import Space, Walk
from tst.viewing.offline import offline

FRAMES = 300
"""Of each walk, unless the user asks for others."""
INSTALL = "pip install 'tst[view]'"
LAUNCH = "import sys; from rerun_cli.__main__ import main; sys.exit(main())"
"""`python -m rerun_cli` would always exit with 0."""


def view(
    space: Space,
    out: Path | None = None,
    walks: Sequence[str] = (),
    frames: int | None = None,
    every: int | None = None,
) -> Path | None:
    """Open walks in Rerun, and wait until the user closes it; or save a recording.

    Args:
        space: the Space.
        out: an .rrd file to save instead, for `rerun FILE`, here or elsewhere.
        walks: names of the walks; by default all.
        frames: at most so many of each walk, evenly spread; FRAMES by default.
        every: each so-manieth frame instead; 1 for all of them.

    Returns:
        The file written; None if the viewer was opened.

    Raises:
        UserError: Rerun is not installed, there is no screen, an option or a file is wrong, or the disk is full.
    """
    rows = {walk.name: _rows(walk, frames, every) for walk in _chosen(space, walks)}
    if out is None:
        _check_screen(space)
        with tempfile.TemporaryDirectory(prefix="tst-view-") as folder:
            file = Path(folder) / f"{space.name}.rrd"
            _save(space, rows, file)
            _open_viewer(space, file)
        return None
    out = Path(out)
    if out.suffix.lower() != ".rrd":
        raise UserError(f"{out}: a recording's name ends in .rrd. Choose such a name with --out FILE.rrd.")
    if out.exists():
        raise UserError(f"{out}: exists. Choose another file with --out FILE.rrd, or remove it.")
    with atomic_path(out) as temporary:
        _save(space, rows, temporary)
    return out


def _chosen(space: Space, names: Sequence[str]) -> list[Walk]:
    if unknown := [name for name in names if name not in space.walks]:
        there = ", ".join(space.walks)
        raise UserError(f"{space.path}: has no walk {unknown[0]!r}; there are: {there}. Choose with --walk.")
    chosen = [walk for walk in space.walks.values() if len(walk) and (not names or walk.name in names)]
    if not chosen:
        raise UserError(f"{space.path}: has no frames. Read a capture into it.")
    return chosen


def _rows(walk: Walk, frames: int | None, every: int | None) -> np.ndarray:
    if frames is not None and every is not None:
        raise UserError("--frames and --every: both choose frames. Give one of them.")
    for name, value in (("--frames", frames), ("--every", every)):
        if value is not None and value < 1:
            raise UserError(f"{name}: {value} is not a number of frames. Use a number above 0.")
    if every is not None:
        return np.arange(0, len(walk), every)
    count = frames or FRAMES
    if len(walk) > count:
        print(
            f"{walk.name}: {count} of {len(walk)} frames are shown; --frames N shows more, --every 1 all of them",
            file=sys.stderr,
        )
    return np.unique(np.linspace(0, len(walk) - 1, min(count, len(walk))).round().astype(int))


def _rerun() -> ModuleType:
    try:
        import rerun
    except ImportError:
        raise UserError(f"Rerun is not installed. Install it: {INSTALL}.") from None
    return rerun


def _save(space: Space, rows: dict[str, np.ndarray], file: Path) -> None:
    """Write the recording; `file` is a new one in a folder that exists or can be made."""
    _check_room(space, rows, file.parent)
    with offline():
        rerun = _rerun()
        from tst.viewing.recording import record

        recording = rerun.RecordingStream("tst")
        recording.save(file)
        recording.set_log_time_enabled(False)
        recording.set_log_tick_enabled(False)
        strict = rerun.strict_mode()
        rerun.set_strict_mode(True)  # otherwise our mistakes are warnings
        try:
            record(recording, space, rows)
        finally:
            rerun.set_strict_mode(strict)
            recording.disconnect()


def _check_room(space: Space, rows: dict[str, np.ndarray], folder: Path) -> None:
    """Rerun writes in a thread of its own and does not tell of a full disk: look before."""
    needed = 0
    for name, chosen in rows.items():
        walk = space.walks[name]
        for modality in walk.modalities():
            sample = chosen[:: max(1, len(chosen) // 50)]
            needed += int(np.mean([walk.file(modality, int(row)).stat().st_size for row in sample]) * len(chosen))
    needed = int(1.2 * needed) + 50_000_000  # points, curves and raw masks
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder}: {free / 1e6:.0f} MB are free, and about {needed / 1e6:.0f} MB needed. "
            "Free some space, or show fewer frames with --frames N."
        )


def _check_screen(space: Space) -> None:
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UserError(
            f"no screen on this machine. Save a recording with `tst view {space.path} --out FILE.rrd`, and open it "
            "with `rerun FILE.rrd` on a machine that has one."
        )


def _open_viewer(space: Space, file: Path) -> None:
    """Open `file` in Rerun's viewer and wait until it is closed."""
    command = [sys.executable, "-c", LAUNCH, "--bind", "127.0.0.1", "--port", "auto", str(file)]
    with tempfile.TemporaryFile() as errors:
        with offline():
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            code = process.wait()
        except KeyboardInterrupt:  # the viewer got it, too
            process.wait()
            return
        if code == 0:
            return
        errors.seek(0)
        lines = errors.read().decode(errors="replace").strip().splitlines()
    raise UserError(
        f"Rerun's viewer ended with an error ({lines[-1] if lines else f'exit status {code}'}). Save a recording with "
        f"`tst view {space.path} --out FILE.rrd`, and open it on another machine."
    )
