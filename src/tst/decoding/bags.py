"""ROS 2 bags as they lie on disk, in sqlite3 or MCAP files: large messages are listed, and read one by one later.

The rosbags library reads whole messages in order of time; here a bag of many gigabytes is listed by the beginnings of
its images, any message can be read at any time by any thread, and no size is believed before it is checked. Formats:
https://mcap.dev/spec and rosbag2_storage_sqlite3.
"""

import functools
import io
import re
import sqlite3
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pyarrow as pa

from tst.decoding.archives import Files
from tst.errors import UserError

LARGEST_MESSAGE = 1 << 28
LARGEST_CHUNK = 1 << 28
"""Bytes of an MCAP chunk, unpacked; recorders write chunks of one to ten megabytes."""
MOST_TOPICS = 10_000
LONGEST_NAME = 4096
SUFFIXES = (".db3", ".mcap")
COPY = "Copy the bag again."
BROKEN = (sqlite3.Error, OverflowError, UnicodeDecodeError)
"""What a damaged database makes sqlite3 raise; the texts of its errors may themselves be damaged."""


class Position(NamedTuple):
    """Where a message is: the file's number; the row, or in an MCAP file the chunk (-1: none), offset and length."""

    file: int
    chunk: int
    offset: int
    length: int


class Message(NamedTuple):
    """A message, or its beginning; `data` is serialised as CDR."""

    topic: str
    type: str
    position: Position
    data: bytes


class Bag:
    """The messages of a bag: a folder with its files, or one .db3 or .mcap file.

    Attributes:
        topics: message type by topic; complete after a `scan`.
    """

    def __init__(self, source: Path):
        """Find the files of a bag, in the order of recording.

        Raises:
            UserError: there are none, or one of them is missing or packed.
        """
        self.source = source
        self.topics: dict[str, str] = {}
        paths = [source]
        if source.is_dir():
            files = Files(source)
            names = files.names(suffix=SUFFIXES)
            if not names:
                packed = files.names(suffix=tuple(suffix + ".zstd" for suffix in SUFFIXES))
                remedy = f"Unpack its files first: zstd -d {packed[0]}" if packed else "Give the folder of a ROS 2 bag"
                raise UserError(f"{source}: holds no .db3 or .mcap file. {remedy}.")
            _refuse_gap(source, names)
            paths = [source / name for name in sorted(names, key=_number)]
        self._files = [_Mcap(n, path) if path.suffix == ".mcap" else _Sqlite(n, path) for n, path in enumerate(paths)]

    def scan(self, beginnings: Mapping[str, int]) -> Iterator[Message]:
        """All messages of some types, in the order of recording.

        Args:
            beginnings: by message type, how many bytes of a message are wanted.

        Raises:
            UserError: the bag is damaged.
        """
        for file in self._files:
            yield from file.scan(beginnings, self.topics)

    def payload(self, position: Position) -> bytes:
        """All of a message.

        Raises:
            UserError: it cannot be read.
        """
        return self._files[position.file].payload(position)


def _number(name: str) -> tuple[int, str]:
    found = re.search(r"(\d+)\.\w+$", name)
    return int(found[1]) if found else -1, name


def _refuse_gap(source: Path, names: list[str]) -> None:
    """A bag is split into files NAME_0, NAME_1, ...; if one got lost, so did what it held."""
    numbers = sorted(number for number, _ in map(_number, names))
    if len(set(numbers)) == len(numbers) > 1:
        for number in range(numbers[0], numbers[-1]):
            if number not in numbers:
                raise UserError(f"{source}: of its files number {number} is missing. {COPY}")


class _Sqlite:
    def __init__(self, number: int, path: Path):
        self._number, self._path = number, path

    def scan(self, beginnings: Mapping[str, int], topics: dict[str, str]) -> Iterator[Message]:
        try:
            with closing(self._connect()) as bag:
                self._require_tables(bag)
                known = self._topics(bag)
                topics.update(known.values())
                wanted = {number: name for number, name in known.items() if name[1] in beginnings}
                whole = [number for number, name in wanted.items() if beginnings[name[1]] >= LARGEST_MESSAGE]
                query = (
                    f"SELECT rowid, topic_id, CASE WHEN topic_id IN ({_listed(whole)}) THEN data END FROM messages "
                    f"WHERE topic_id IN ({_listed(list(wanted))}) ORDER BY rowid"
                )
                for row, topic, message in bag.execute(query):
                    data = message
                    if not isinstance(data, bytes):
                        with bag.blobopen("messages", "data", row, readonly=True) as blob:
                            data = blob.read(beginnings[wanted[topic][1]])
                    yield Message(*wanted[topic], Position(self._number, -1, row, -1), data)
        except BROKEN as error:
            raise self._damaged(error) from None

    def payload(self, position: Position) -> bytes:
        try:
            with (
                closing(self._connect()) as bag,
                bag.blobopen("messages", "data", position.offset, readonly=True) as blob,
            ):
                return blob.read()
        except BROKEN as error:
            raise self._damaged(error) from None

    def _connect(self) -> sqlite3.Connection:
        log = self._path.with_name(self._path.name + "-wal")
        if log.is_file() and log.stat().st_size:
            raise UserError(
                f"{self._path}: was not closed when the recording ended. "
                f'Close it: sqlite3 {self._path.name} "PRAGMA wal_checkpoint(TRUNCATE)".'
            )
        bag = sqlite3.connect(self._path.absolute().as_uri() + "?mode=ro&immutable=1", uri=True)
        bag.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_MESSAGE)
        bag.execute("PRAGMA trusted_schema = OFF")
        return bag

    def _require_tables(self, bag: sqlite3.Connection) -> None:
        """Views and virtual tables could run anything for any time."""
        query = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('topics', 'messages')"
        (count,) = bag.execute(query + " AND sql NOT LIKE '%virtual%' AND sql NOT LIKE '%generated%'").fetchone()
        if count != 2:
            raise UserError(f"{self._path}: has no tables of topics and messages, so it is no bag. {COPY}")

    def _topics(self, bag: sqlite3.Connection) -> dict[int, tuple[str, str]]:
        rows = bag.execute(f"SELECT id, name, type, serialization_format FROM topics LIMIT {MOST_TOPICS}")
        return {
            number: (name, type_)
            for number, name, type_, serialisation in rows
            if isinstance(number, int) and _is_name(name) and _is_name(type_) and serialisation == "cdr"
        }

    def _damaged(self, error: Exception) -> UserError:
        return UserError(f"{self._path}: damaged or cut off ({' '.join(str(error).split())[:100]}). {COPY}")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END = 3, 4, 5, 6, 15
"""Opcodes of MCAP."""


class _Chunk(NamedTuple):
    """An MCAP chunk: how its records are packed, and where they are in the file."""

    compression: str
    unpacked: int
    checksum: int
    start: int
    length: int


@dataclass
class _Scan:
    """What is wanted of an MCAP file, and what was learnt of it so far."""

    beginnings: Mapping[str, int]
    topics: dict[str, str]
    schemas: dict[int, str] = field(default_factory=dict)
    channels: dict[int, tuple[str, str]] = field(default_factory=dict)


class _Mcap:
    """An MCAP file: its records are walked by their lengths, and so are those of a chunk."""

    MAGIC = b"\x89MCAP0\r\n"

    def __init__(self, number: int, path: Path):
        self._number, self._path = number, path
        self._unpacked = functools.lru_cache(3)(self._unpack)

    def scan(self, beginnings: Mapping[str, int], topics: dict[str, str]) -> Iterator[Message]:
        try:
            with self._path.open("rb") as file:
                if file.read(len(self.MAGIC)) != self.MAGIC:
                    raise UserError(f"{self._path}: not an MCAP file. {COPY}")
                size = self._path.stat().st_size
                yield from self._walk(_Scan(beginnings, topics), file, len(self.MAGIC), size)
        except OSError as error:
            raise UserError(f"{self._path}: cannot be read ({error.strerror or error}). {COPY}") from None

    def payload(self, position: Position) -> bytes:
        if position.chunk >= 0:
            data = self._unpacked(position.chunk)[position.offset : position.offset + position.length]
        else:
            try:
                with self._path.open("rb") as file:
                    data = _read(file, position.offset, position.length)
            except OSError as error:
                raise UserError(f"{self._path}: cannot be read ({error.strerror or error}). {COPY}") from None
        if len(data) < position.length:
            raise self._cut_off(position.offset)
        return data

    def _walk(self, scan: _Scan, file: BinaryIO, at: int, end: int, chunk: int | None = None) -> Iterator[Message]:
        """Messages of the records from `at` to `end`; `chunk` is where the chunk begins that these are in."""
        packed = chunk if chunk is not None and isinstance(file, io.BytesIO) else -1
        while at + 9 <= end:
            code, length = struct.unpack("<BQ", _read(file, at, 9))
            body, at = at + 9, at + 9 + length
            if at > end:
                raise self._cut_off(body)
            if code == MESSAGE and length >= 22:
                (channel,) = struct.unpack("<H", _read(file, body, 2))
                topic = scan.channels.get(channel)
                if topic is not None and topic[1] in scan.beginnings:
                    if (size := length - 22) > LARGEST_MESSAGE:
                        raise UserError(f"{self._path}: a message of {size} bytes, more than any sensor's. {COPY}")
                    data = _read(file, body + 22, min(size, scan.beginnings[topic[1]]))
                    yield Message(*topic, Position(self._number, packed, body + 22, size), data)
            elif code in (SCHEMA, CHANNEL):
                self._name(scan, code, _read(file, body, min(length, 4 * LONGEST_NAME)))
            elif code == CHUNK and chunk is None:
                header = self._chunk(file, body)
                if header.start + header.length > at:
                    raise self._cut_off(body)
                if header.compression:
                    unpacked = self._unpacked(body)
                    yield from self._walk(scan, io.BytesIO(unpacked), 0, len(unpacked), body)
                else:
                    yield from self._walk(scan, file, header.start, header.start + header.length, body)
            elif code == DATA_END and chunk is None:
                return
        if chunk is None:
            raise self._cut_off(at)

    def _name(self, scan: _Scan, code: int, record: bytes) -> None:
        """Learn what a schema or a channel is called."""
        try:
            if code == SCHEMA:
                scan.schemas[struct.unpack_from("<H", record)[0]] = _text(record, 2)[0]
            else:
                number, schema = struct.unpack_from("<HH", record)
                topic, at = _text(record, 4)
                if _text(record, at)[0] == "cdr" and schema in scan.schemas and _is_name(topic):
                    scan.channels[number] = (topic, scan.schemas[schema])
                    scan.topics[topic] = scan.schemas[schema]
        except (struct.error, UnicodeDecodeError):
            raise UserError(f"{self._path}: the name of a topic is damaged. {COPY}") from None

    def _chunk(self, file: BinaryIO, body: int) -> _Chunk:
        try:
            head = _read(file, body, 64)
            _, _, unpacked, checksum = struct.unpack_from("<QQQI", head)
            compression, at = _text(head, 28)
            (length,) = struct.unpack_from("<Q", head, at)
        except (struct.error, UnicodeDecodeError):
            raise self._cut_off(body) from None
        if compression not in ("", "zstd", "lz4"):
            raise UserError(f"{self._path}: is compressed by {compression[:20]!r}, not zstd or lz4. Convert the bag.")
        if compression and max(unpacked, length) > LARGEST_CHUNK:
            raise UserError(
                f"{self._path}: a chunk of {length} bytes claims {unpacked} unpacked; {LARGEST_CHUNK} are the most. "
                "Write the bag again with smaller chunks, if it is no zip bomb."
            )
        return _Chunk(compression, unpacked, checksum, body + at + 8, length)

    def _unpack(self, body: int) -> bytes:
        try:
            with self._path.open("rb") as file:
                chunk = self._chunk(file, body)
                packed = _read(file, chunk.start, chunk.length)
            data = pa.decompress(packed, decompressed_size=chunk.unpacked, codec=chunk.compression, asbytes=True)
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"{self._path}: the chunk at byte {body} cannot be unpacked ({error}). {COPY}") from None
        if chunk.checksum and zlib.crc32(data) != chunk.checksum:
            raise UserError(f"{self._path}: the chunk at byte {body} is damaged (checksum). {COPY}")
        return data

    def _cut_off(self, at: int) -> UserError:
        return UserError(
            f"{self._path}: damaged or cut off at byte {at}. {COPY} If the recording itself was cut off, "
            "`mcap recover` saves what is there."
        )


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


def _text(record: bytes, at: int) -> tuple[str, int]:
    """A string of MCAP, and where the next field begins."""
    (length,) = struct.unpack_from("<I", record, at)
    if length > min(LONGEST_NAME, len(record) - at - 4):
        raise struct.error
    return record[at + 4 : at + 4 + length].decode(), at + 4 + length
