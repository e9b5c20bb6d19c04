"""Words as token ids: a WordPiece tokenizer with the layout of 4M's vocabulary (`fourm/utils/tokenizer` of ml-4m).

| ids | |
|---|---|
| 0 to 3 | [PAD] [UNK] [SOS] [EOS] |
| 4 to 203 | sentinels [S_0] to [S_199] of span masking |
| 204 to 4203 | coordinates v0=0 to v0=999, v1=0 ..., v2=0 ..., v3=0 to v3=999 (4M-7: xmin= ymin= xmax= ymax=) |
| from 4204 | class names, then word pieces |

The pieces are chosen here (letters, then the words that occur twice or more): the trainer of the `tokenizers` library
gives other pieces and other ids every time, because its hash maps are seeded at random.
"""

import string
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tst.errors import UserError
from tst.files import digest, write_bytes

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PAD, UNK, SOS, EOS = range(4)
SPECIAL = ("[PAD]", "[UNK]", "[SOS]", "[EOS]")
FIRST_SENTINEL, SENTINELS = 4, 200
FIRST_COORDINATE, BINS = FIRST_SENTINEL + SENTINELS, 1000
FIRST_CLASS = FIRST_COORDINATE + 4 * BINS
AXES = ("v0", "v1", "v2", "v3")
AXES_OF_4M_7 = ("xmin", "ymin", "xmax", "ymax")
MOST_TOKENS = 30_000
FILE = "text_tokenizer.json"


class TextTokenizer:
    """Strings to ids and back."""

    def __init__(self, tokenizer: "Tokenizer") -> None:
        self._tokenizer = tokenizer

    @classmethod
    def train(
        cls, texts: Iterable[str], class_names: Sequence[str] = (), most_tokens: int = MOST_TOKENS
    ) -> "TextTokenizer":
        """Choose the vocabulary from strings; the same strings, in any order, give the same one.

        Args:
            class_names: names that get one token each, such as `bedside table`; in captions, too.
            most_tokens: size of the vocabulary at most; the most frequent words stay.
        """
        library = _library()
        normalizer, splitter = library.normalizers.BertNormalizer(), library.pre_tokenizers.BertPreTokenizer()
        words: Counter[str] = Counter()
        for text, times in Counter(texts).items():
            for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)):
                words[word] += times
        names = [name for name in dict.fromkeys(map(normalizer.normalize_str, class_names)) if name.strip()]
        letters = sorted({*string.ascii_lowercase, *string.digits, *string.punctuation, *"".join(words)})
        common = sorted((word for word, times in words.items() if times > 1), key=lambda word: (-words[word], word))
        added = [library.AddedToken(name, special=True, normalized=False) for name in SPECIAL]
        plain = [
            *(f"[S_{k}]" for k in range(SENTINELS)),
            *(f"{axis}={value}" for axis in AXES for value in range(BINS)),
        ]
        added += [library.AddedToken(name, single_word=True, normalized=False, special=True) for name in plain]
        added += [library.AddedToken(name, single_word=True, normalized=True, special=True) for name in names]
        pieces = [*letters, *(f"##{letter}" for letter in letters), *common]
        ordered = dict.fromkeys([*SPECIAL, *plain, *names, *pieces])
        vocabulary = {name: number for number, name in enumerate(list(ordered)[:most_tokens])}
        model = library.models.WordPiece(vocabulary, unk_token="[UNK]")
        tokenizer = library.Tokenizer(model)
        tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
        tokenizer.decoder = library.decoders.WordPiece()
        tokenizer.add_special_tokens(added)
        return cls(tokenizer)

    @classmethod
    def load(cls, path: Path) -> "TextTokenizer":
        """Read a JSON file that `save` wrote, or one of 4M's (`text_tokenizer_4m_wordpiece_30k.json`).

        Raises:
            UserError: it is missing, not a tokenizer, or has another layout of ids.
        """
        path = Path(path)
        if not path.is_file():
            raise UserError(f"{path}: not found. Run `tst tokenize` with caption or det among its modalities.")
        try:
            tokenizer = _library().Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exceptions
            reason = str(error).splitlines()[0]
            raise UserError(f"{path}: not a tokenizer of the tokenizers library ({reason}). Restore it.") from None
        for number, names in _landmarks().items():
            if tokenizer.id_to_token(number) not in names:
                raise UserError(
                    f"{path}: id {number} is {tokenizer.id_to_token(number)!r} and 4M's layout has {names[0]!r}. "
                    "Give a text_tokenizer_4m_*.json, or one that tst trained."
                )
        return cls(tokenizer)

    def save(self, path: Path) -> None:
        """Write it as JSON, atomically."""
        write_bytes(path, self._json.encode())

    @cached_property
    def _json(self) -> str:
        return self._tokenizer.to_str()

    @cached_property
    def key(self) -> str:
        """Content hash."""
        return digest(self._json)

    @property
    def vocabulary(self) -> int:
        """Number of ids."""
        return self._tokenizer.get_vocab_size()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each string, without [EOS]. What reads like a special token or a sentinel in a string is left out."""
        found = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [[token for token in item.ids if not _is_special(token)] for item in found]

    def decode(self, ids: Iterable[int]) -> str:
        """The string up to the first [EOS], without padding and sentinels."""
        shown: list[int] = []
        for token in ids:
            if token == EOS:
                break
            if not _is_special(token):
                shown.append(token)
        return self._tokenizer.decode(shown, skip_special_tokens=False)


def _is_special(token: int) -> bool:
    return token < FIRST_COORDINATE and token != UNK


def _landmarks() -> dict[int, tuple[str, ...]]:
    """Names that certain ids must have."""
    marks: dict[int, tuple[str, ...]] = {number: (name,) for number, name in enumerate(SPECIAL)}
    marks |= {FIRST_SENTINEL + k: (f"[S_{k}]",) for k in (0, 1, SENTINELS - 1)}
    for axis, names in enumerate(zip(AXES, AXES_OF_4M_7, strict=True)):
        for value in (0, BINS - 1):
            marks[FIRST_COORDINATE + axis * BINS + value] = tuple(f"{name}={value}" for name in names)
    return marks


def _library():  # type: ignore[no-untyped-def] # a module
    try:
        import tokenizers
    except ImportError:
        raise UserError(
            "captions and boxes need the tokenizers library. Install it with `pip install tst[generalists]`."
        ) from None
    return tokenizers
