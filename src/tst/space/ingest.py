"""Reading a recording into a Space: frames chosen, decoded, checked and stored; the walk published in one rename."""

import contextlib
import ctypes
import errno
import gc
import glob
import os
import re
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import tst
from tst.errors import UserError
from tst.files import digest, timestamp, write_json
from tst.progress import track
from tst.space import orientation
from tst.space.choosing import Group, Judge, Look, ReadConfig, groups, look
from tst.space.folders import disk_full_is_told, locked
from tst.space.frame_files import ClassList, Picture, Storing, rgb_picture, store
from tst.space.partial import Partial, partial_walk
from tst.space.space import DROPPED_SCHEMA, FRAME_SCHEMA, Space, SpaceFile, WalkRecord

if TYPE_CHECKING:
    from tst.readers.base import Frame, Recording

__all__ = ["ClassList", "add_walk"]

WORKERS = min(2, os.cpu_count() or 1)
AHEAD = 2 * WORKERS
"""Groups of frames that are decoded while earlier ones are being written: bounds the memory."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
HOPELESS = 0.5
"""Share of damaged frames beyond which the recording is refused."""


def add_walk(
    path: Path,
    recording: "Recording",
    name: str,
    classes: ClassList | None,
    options: dict[str, Any],
    config: ReadConfig = ReadConfig(),
) -> Space:
    """Write `recording` as the walk `name` of the Space at `path`, which is made if there is none.

    Masks are stored with 255 as the label to ignore, whatever it was in the source.

    Raises:
        UserError: the walk exists, the class list is another one, a file is damaged, or the disk is full. The Space
            is then as it was before.
    """
    if path.exists() and not (path.is_dir() and ((path / "space.json").is_file() or not any(path.iterdir()))):
        raise UserError(f"{path}: exists and is not a Space. Choose another folder.")
    name = re.sub(r"[^\w.-]+", "-", name).strip(".-")
    if not name:
        raise UserError(f"{recording.source}: gives no usable name for the walk. Choose one with --walk NAME.")
    existing = Space.open(path) if (path / "space.json").is_file() else None
    if existing is not None:
        _check_free(existing, name)
    names = _agreed_classes(existing, recording, classes)
    recording, uneven = _even(recording, config)
    with (
        disk_full_is_told(path),
        partial_walk(path.parent, path.name, _key(recording, name, classes, options, config)) as partial,
    ):
        space = partial.folder / "space"
        walk = space / "walks" / name
        rows, dropped, notes = _write_frames(recording, walk, classes, config, partial)
        dropped = sorted([*recording.dropped, *uneven, *dropped], key=lambda item: (item[1] is None, item[1], item[0]))
        if not rows:
            reasons = Counter(reason.split(" (")[0] for _, _, reason in dropped).most_common(1)
            raise UserError(
                f"{recording.source}: no frame is left"
                + (f" ({reasons[0][1]} of {len(dropped)}: {reasons[0][0]})" if reasons else "")
                + ". Keep every frame with --keep all, or record again."
            )
        pq.write_table(pa.Table.from_pylist(rows, FRAME_SCHEMA), walk / "frames.parquet")
        if dropped:
            columns = dict(zip(DROPPED_SCHEMA.names, map(list, zip(*dropped, strict=True)), strict=True))
            pq.write_table(pa.table(columns, DROPPED_SCHEMA), walk / "dropped.parquet")
        for sensor, table in recording.sensors.items():
            (walk / "sensors").mkdir(exist_ok=True)
            pq.write_table(table, walk / "sensors" / f"{sensor}.parquet")
        for kind, value in recording.annotations.items():
            write_json(walk / "annotations" / f"{kind}.json", value)
        record = WalkRecord(
            format=recording.format,
            source=recording.source.resolve().name,
            date=timestamp(),
            tst_version=tst.__version__,
            frames=len(rows),
            modalities=[m for m in recording.frames[0].files if any((walk / m).iterdir())],
            options=options,
            notes={**recording.notes, **notes},
        )
        if existing is None:
            contents = SpaceFile(name=path.resolve().name, classes=names)
            _enter(contents, name, record)
            contents.save(space / "space.json")
            Space.open(space)
            _publish_space(space, path, name)
        else:
            _publish_walk(walk, path, name, record, names)
    return Space.open(path)


def _enter(contents: SpaceFile, name: str, record: WalkRecord) -> None:
    contents.walks = dict(sorted({**contents.walks, name: record}.items()))
    contents.modalities = list(dict.fromkeys([*contents.modalities, *record.modalities]))


def _publish_space(temporary: Path, path: Path, walk: str) -> None:
    try:
        temporary.rename(path)  # replaces an empty folder, refuses any other
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise UserError(f"{path}: another program made it meanwhile. Run the same command again for {walk}.") from None


def _publish_walk(walk: Path, path: Path, name: str, record: WalkRecord, classes: list[str] | None) -> None:
    """Move the walk into the Space, then enter it into space.json; both or neither."""
    with locked(path):  # two reads into one Space must not lose each other's entry
        space = Space.open(path)
        _check_free(space, name)
        target = path / "walks" / name
        walk.rename(target)
        try:
            space.file.classes = classes
            _enter(space.file, name, record)
            space.file.save(path / "space.json")
        except BaseException:
            target.rename(walk)
            raise


def _check_free(space: Space, name: str) -> None:
    if name in space.walks:
        raise UserError(f"{space.path}: already has a walk {name!r}. Choose another name with --walk NAME.")
    if (folder := space.path / "walks" / name).exists():
        raise UserError(
            f"{folder}: exists and is not in space.json (an earlier read was cut off). Remove this folder, or choose "
            "another name with --walk NAME."
        )


def _agreed_classes(space: Space | None, recording: "Recording", classes: ClassList | None) -> list[str] | None:
    """The Space's class list after this walk."""
    old = None if space is None else space.classes
    if classes is None:
        if old is not None and any("semantic" in frame.files for frame in recording.frames):
            raise UserError(
                f"{recording.source}: has masks, and the Space {space.path if space else ''} a class list. "
                "Give the classes of these masks with --classes FILE."
            )
        return old
    if old is not None and old != classes.names:
        raise UserError(
            f"{recording.source}: its classes are not those of the Space {space.path if space else ''}. "
            "Read it into a Space of its own, or map its masks to the same classes."
        )
    if old is None and space is not None and any("semantic" in w.record.modalities for w in space.walks.values()):
        raise UserError(
            f"{space.path}: its masks were read without a class list. Read them again with --classes into a new Space."
        )
    return classes.names


def _key(
    recording: "Recording", name: str, classes: ClassList | None, options: dict[str, Any], config: ReadConfig
) -> str:
    """What an interrupted read must have in common with one that goes on from it."""
    status = recording.source.stat()
    return digest(
        *(str(recording.source.resolve()), status.st_mtime_ns, status.st_size, recording.format, name),
        *(tst.__version__, options, config.model_dump(), None if classes is None else classes.names),
        [(frame.id, frame.time) for frame in recording.frames],
    )


def _even(recording: "Recording", config: ReadConfig) -> tuple["Recording", list[tuple[str, float | None, str]]]:
    """The recording with the same modalities in every frame, and what had to be left out.

    Raises:
        UserError: frames of a chosen set lack a modality; a modality of one must be there for all.
    """
    counts = Counter(modality for frame in recording.frames for modality in frame.files)
    total = len(recording.frames)
    if all(count == total for count in counts.values()):
        return recording, []
    if not config.chooses(recording.continuous):
        for modality, count in counts.items():
            if count < total:
                first = next(frame.id for frame in recording.frames if modality not in frame.files)
                raise UserError(
                    f"{recording.source}: {total - count} of {total} frames have no {modality} "
                    f"(first: {first}). Add it, or remove those frames."
                )
    wanted = [modality for modality, count in counts.items() if count > total / 2]
    frames, dropped = [], []
    for frame in recording.frames:
        missing = [modality for modality in wanted if modality not in frame.files]
        if missing:
            dropped.append((frame.id, frame.time, f"has no {' and no '.join(missing)}"))
        else:
            frames.append(replace(frame, files={modality: frame.files[modality] for modality in wanted}))
    rare = sorted(set(counts) - set(wanted))
    notes = {**recording.notes, **({"left out": f"{', '.join(rare)}: most frames have none"} if rare else {})}
    return replace(recording, frames=frames, notes=notes), dropped


class _Candidate(NamedTuple):
    """A frame that has been looked at; `problem` if it is damaged."""

    number: int
    rgb: Picture | None
    look: Look | None
    loaded: dict[str, Any]
    problem: UserError | None


def _write_frames(
    recording: "Recording", walk: Path, classes: ClassList | None, config: ReadConfig, partial: Partial
) -> tuple[list[dict[str, Any]], list[tuple[str, float | None, str]], dict[str, Any]]:
    """Write the chosen frames under `walk`; the rows of frames.parquet and of dropped.parquet, and notes."""
    frames = recording.frames
    for modality in frames[0].files if frames else ():
        (walk / modality).mkdir(parents=True, exist_ok=True)
    chooses = config.chooses(recording.continuous)
    to = Storing(walk, config, classes, recording.full_confidence, {})
    every = groups(frames, config, recording.continuous)
    judge = Judge(config, chooses, all(frame.pose is not None for frame in frames))
    done = partial.done[: len(every)]
    for entry in done:
        to.notes.update(entry["notes"])
        if entry["look"]:
            judge.remember(Look(*entry["look"]))
    steps = _Steps(recording, every[len(done) :], judge, to, strict=not chooses)
    entries = list(done)
    damaged = sum(reason.startswith("damaged") for entry in entries for _, reason in entry["dropped"])
    # Pillow, OpenCV and FFmpeg release the interpreter's lock.
    with _tuned(), ThreadPoolExecutor(WORKERS) as pool:
        try:
            for entry in track(steps.run(pool), f"reading {walk.name}", len(every) - len(done)):
                partial.add(entry)
                entries.append(entry)
                damaged += sum(reason.startswith("damaged") for _, reason in entry["dropped"])
                if damaged > max(HOPELESS * len(frames), 1):
                    assert steps.first_problem is not None
                    raise steps.first_problem
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    rows = [entry["row"] for entry in entries if entry["row"] is not None]
    dropped = [(frames[i].id, frames[i].time, reason) for entry in entries for i, reason in entry["dropped"]]
    return rows, dropped, to.notes


@contextlib.contextmanager
def _tuned() -> Iterator[None]:
    """Settings of the process for many images, a few at a time.

    OpenCV: frames already go side by side, and its threads would only take turns with ours on the same cores. Memory:
    glibc gives every freed image back to the kernel, and clearing the pages of the next one takes a third of a read.
    Garbage: the recording's frames stay to the end, and need not be searched for some time and again.
    """
    gc.freeze()
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    libc = ctypes.CDLL(None)
    if glibc := hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 32 << 20)
        libc.mallopt(M_TRIM_THRESHOLD, 128 << 20)
    try:
        yield
    finally:
        gc.unfreeze()
        cv2.setNumThreads(threads)
        if glibc:
            libc.malloc_trim(0)


class _Steps:
    """The way of groups of frames through decoding, judging and writing.

    What must be decoded in order (videos) is decoded by the calling thread, everything else by the pool; judging goes
    in order, since what is usual in the recording decides on blur.
    """

    def __init__(self, recording: "Recording", every: list[Group], judge: Judge, to: Storing, strict: bool):
        self._frames, self._groups, self._judge, self._to, self._strict = recording.frames, every, judge, to, strict
        self._turns = _turns(recording)
        self.first_problem: UserError | None = None

    def run(self, pool: ThreadPoolExecutor) -> Iterator[dict[str, Any]]:
        """A journal entry for each group, in order."""
        looking: deque[tuple[Group, Future[list[_Candidate]]]] = deque()
        writing: deque[Future[dict[str, Any]] | dict[str, Any]] = deque()

        def finished() -> dict[str, Any]:
            entry = writing.popleft()
            return entry.result() if isinstance(entry, Future) else entry

        def judge_next() -> None:
            group, candidates = looking.popleft()
            kept, entry = self._judged(group, candidates.result())
            writing.append(entry if kept is None else pool.submit(self._store, kept, entry))

        for group in self._groups:
            ordered = [self._in_order(self._frames[index]) for index in group.candidates]
            if self._judge.chooses:
                looking.append((group, pool.submit(self._look, group, ordered)))
                if len(looking) >= AHEAD:
                    judge_next()
            else:
                writing.append(pool.submit(self._take, group, ordered))
            while writing and (len(writing) >= AHEAD or _is_done(writing[0])):
                yield finished()
        while looking:
            judge_next()
        while writing:
            yield finished()

    def _take(self, group: Group, ordered: list[dict[str, Any]]) -> dict[str, Any]:
        """All steps at once, where no frame decides on another."""
        kept, entry = self._judged(group, self._look(group, ordered))
        return entry if kept is None else self._store(kept, entry)

    def _in_order(self, frame: "Frame") -> dict[str, Any]:
        """What of a frame must be loaded by this thread: arrays, bytes, or the error instead."""
        loaded: dict[str, Any] = {}
        for modality, source in frame.files.items():
            if not isinstance(source, Path) and source.in_order:
                try:
                    loaded[modality] = source.load(self._to.config.short_side)
                except UserError as error:
                    loaded[modality] = error
        return loaded

    def _look(self, group: Group, ordered: list[dict[str, Any]]) -> list[_Candidate]:
        result = []
        for index, loaded in zip(group.candidates, ordered, strict=True):
            frame = self._frames[index]
            source = frame.files["rgb"]
            where = str(source) if isinstance(source, Path) else source.where
            try:
                for value in loaded.values():
                    if isinstance(value, UserError):
                        raise value
                rgb = rgb_picture(loaded.get("rgb", source), where, frame, self._to.config)
                result.append(_Candidate(index, rgb, look(rgb.array, self._judge.posed), loaded, None))
            except UserError as error:
                result.append(_Candidate(index, None, None, loaded, error))
        return result

    def _judged(self, group: Group, candidates: list[_Candidate]) -> tuple[_Candidate | None, dict[str, Any]]:
        """The frame to keep, if there is one, and the group's journal entry before it is stored."""
        dropped = list(group.left_out)
        for item in candidates:
            if item.problem is not None:
                dropped.append((item.number, self._damaged(item.problem)))
        whole = [item for item in candidates if item.problem is None]
        best, reasons = self._judge.decide([item.look for item in whole if item.look is not None])
        others = [item for k, item in enumerate(whole) if k != best]
        dropped += [(item.number, reason) for item, reason in zip(others, reasons, strict=True)]
        entry: dict[str, Any] = {"row": None, "look": None, "dropped": sorted(dropped), "notes": {}}
        return None if best is None else whole[best], entry

    def _store(self, item: _Candidate, entry: dict[str, Any]) -> dict[str, Any]:
        assert item.rgb is not None and item.look is not None
        to = replace(self._to, notes={})
        try:
            row = store(self._frames[item.number], item.rgb, item.loaded, self._turns[item.number], to)
        except UserError as error:
            entry["dropped"] = sorted([*entry["dropped"], (item.number, self._damaged(error))])
            for modality in self._frames[item.number].files:
                for path in (to.walk / modality).glob(f"{glob.escape(self._frames[item.number].id)}.*"):
                    path.unlink()
            return entry
        entry.update(row={**row, "sharpness": item.look.sharpness}, look=list(item.look), notes=to.notes)
        self._to.notes.update(to.notes)
        return entry

    def _damaged(self, error: UserError) -> str:
        self.first_problem = self.first_problem or error
        if self._strict:
            raise error
        return f"damaged: {error}"


def _is_done(entry: "Future[dict[str, Any]] | dict[str, Any]") -> bool:
    return not isinstance(entry, Future) or entry.done()


def _turns(recording: "Recording") -> list[int]:
    """Quarter turns clockwise of every frame."""
    up = None if recording.up is None else np.array(recording.up, float)
    result: list[int] = []
    before: int | None = None
    for frame in recording.frames:
        if up is not None and frame.pose is not None:
            before = orientation.quarter_turns(frame.pose, up, before)
        result.append(frame.turns if up is None or frame.pose is None or before is None else before)
    return result
