"""The text tokenizer: layout of ids, the same vocabulary every time, files that are none."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tst.errors import UserError
from tst.sequences.text import EOS, FIRST_CLASS, FIRST_COORDINATE, FIRST_SENTINEL, PAD, UNK, TextTokenizer

TEXTS = ["A bed next to a bedside table.", "A bedside table and a lamp.", "A lamp, a bed."]
CLASSES = ["bed", "bedside table"]


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return TextTokenizer.train(TEXTS, CLASSES)


def test_the_layout_is_4ms(tokenizer: TextTokenizer) -> None:
    names = {0: "[PAD]", 1: "[UNK]", 2: "[SOS]", 3: "[EOS]", 4: "[S_0]", 203: "[S_199]", 204: "v0=0", 1203: "v0=999"}
    names |= {1204: "v1=0", 2204: "v2=0", 3204: "v3=0", 4203: "v3=999", 4204: "bed", 4205: "bedside table"}
    for number, name in names.items():
        assert tokenizer._tokenizer.id_to_token(number) == name
    assert (PAD, UNK, EOS, FIRST_SENTINEL, FIRST_COORDINATE, FIRST_CLASS) == (0, 1, 3, 4, 204, 4204)


def test_strings_come_back(tokenizer: TextTokenizer) -> None:
    ids = tokenizer.encode([*TEXTS, "v0=12 v1=0 v2=999 v3=37 bedside table"])
    assert [tokenizer.decode(item) for item in ids] == [
        *(text.lower() for text in TEXTS),
        "v0=12 v1=0 v2=999 v3=37 bedside table",
    ]
    assert ids[-1] == [204 + 12, 1204, 2204 + 999, 3204 + 37, 4205]
    assert len(ids[2]) == len(["a", "lamp", ",", "a", "bed", "."])  # words that are seen often are one token


def test_words_never_seen_are_spelled(tokenizer: TextTokenizer) -> None:
    (ids,) = tokenizer.encode(["quartz zebras 42!"])
    assert UNK not in ids and tokenizer.decode(ids) == "quartz zebras 42!"
    assert UNK in tokenizer.encode(["日"])[0]


def test_what_reads_like_a_special_token_is_left_out(tokenizer: TextTokenizer) -> None:
    assert tokenizer.encode(["a [EOS] bed [S_3] [PAD] lamp"]) == tokenizer.encode(["a bed lamp"])


def test_decoding_stops_at_the_end_and_passes_over_sentinels(tokenizer: TextTokenizer) -> None:
    (ids,) = tokenizer.encode(["a bed"])
    assert tokenizer.decode([FIRST_SENTINEL + 1, *ids, EOS, *ids, PAD]) == "a bed"
    assert tokenizer.decode([]) == ""


def test_the_vocabulary_is_the_same_in_any_order_and_in_every_process(tokenizer: TextTokenizer) -> None:
    assert TextTokenizer.train(TEXTS[::-1], CLASSES).key == tokenizer.key
    assert TextTokenizer.train(TEXTS, CLASSES[::-1]).key != tokenizer.key
    code = f"from tst.sequences.text import TextTokenizer; print(TextTokenizer.train({TEXTS!r}, {CLASSES!r}).key)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == tokenizer.key


def test_the_most_frequent_words_stay(tokenizer: TextTokenizer) -> None:
    small = TextTokenizer.train(TEXTS, CLASSES, most_tokens=tokenizer.vocabulary - 1)
    assert small.vocabulary == tokenizer.vocabulary - 1
    assert small.encode(["lamp"]) == tokenizer.encode(["lamp"]) or len(small.encode(["lamp"])[0]) > 1


def test_a_file_gives_the_same_tokenizer(tokenizer: TextTokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "text.json")
    again = TextTokenizer.load(tmp_path / "text.json")
    assert again.key == tokenizer.key and again.encode(TEXTS) == tokenizer.encode(TEXTS)


def test_the_coordinates_of_4m_7_are_the_same_ids(tokenizer: TextTokenizer, tmp_path: Path) -> None:
    text = tokenizer._tokenizer.to_str()
    for ours, theirs in zip(("v0", "v1", "v2", "v3"), ("xmin", "ymin", "xmax", "ymax"), strict=True):
        text = text.replace(f'"{ours}=', f'"{theirs}=')
    (tmp_path / "4m-7.json").write_text(text)
    assert TextTokenizer.load(tmp_path / "4m-7.json").encode(["xmin=5 ymin=6"]) == [[209, 1210]]


@pytest.mark.parametrize(
    ("contents", "told"),
    [
        (None, "not found. Run `tst tokenize`"),
        ("", "not a tokenizer of the tokenizers library"),
        ("{}", "not a tokenizer of the tokenizers library"),
        ("\x00\xff", "not a tokenizer of the tokenizers library"),
        ("BERT", "id 0 is 'a' and 4M's layout has '\\[PAD\\]'"),
    ],
)
def test_files_that_are_none(contents: str | None, told: str, tmp_path: Path) -> None:
    path = tmp_path / "text.json"
    if contents == "BERT":
        model = {"type": "WordPiece", "unk_token": "u", "continuing_subword_prefix": "##"}
        model |= {"max_input_chars_per_word": 100, "vocab": {"a": 0, "u": 1}}  # type: ignore[dict-item]
        empty = dict.fromkeys(("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder"))
        contents = json.dumps({"version": "1.0", **empty, "added_tokens": [], "model": model})
    if contents is not None:
        path.write_text(contents)
    with pytest.raises(UserError, match=told) as error:
        TextTokenizer.load(path)
    assert "\n" not in str(error.value)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=80))
def test_any_string_can_be_encoded_and_decoded(tokenizer: TextTokenizer, text: str) -> None:
    (ids,) = tokenizer.encode([text])
    assert all(token == UNK or token >= FIRST_COORDINATE for token in ids)
    assert isinstance(tokenizer.decode(ids), str)
