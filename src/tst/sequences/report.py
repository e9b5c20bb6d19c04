"""How well a model tells the sequences of images: scores, and a picture of what it says.

Shape letters: H height, W width.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from tst.sequences import SEQUENCES
from tst.sequences.boxes import Box, parse

SIDE = 256
LINE = 15
COLOURS = ((230, 60, 60), (40, 130, 240), (240, 170, 30), (150, 80, 220), (30, 170, 90), (240, 110, 190))
INK, PAPER = (20, 20, 20), (255, 255, 255)


def scores(name: str, told: Sequence[str], real: Sequence[Sequence[str]]) -> dict[str, float]:
    """The modality's scores of what was told, and as `..._of_others` those of the same strings for other frames: what
    can be had by knowing the space but not looking."""
    sequence = SEQUENCES[name]
    shift = max(len(real) // 2, 1)
    others = [*real[shift:], *real[:shift]]
    result = sequence.score(told, real)
    return result | {f"{key}_of_others": value for key, value in sequence.score(told, others).items()}


def picture(
    images: Sequence[np.ndarray], told: Mapping[str, Sequence[str]], real: Mapping[str, Sequence[Sequence[str]]]
) -> np.ndarray:
    """Frames with what was told of them beneath, boxes drawn: on the left what is real, on the right what was told.

    Args:
        images: uint8 (H, W, 3).
        told: by modality, one string a frame.
        real: by modality, the strings of each frame.

    Returns:
        uint8 (H, W, 3).
    """
    frames = []
    for number, image in enumerate(images):
        truth = {name: (texts[number][0] if texts[number] else "") for name, texts in real.items()}
        guess = {name: texts[number] for name, texts in told.items()}
        frames.append(_beside([_panel(image, truth), _panel(image, guess)]))
    rows = [_beside(frames[start : start + 2]) for start in range(0, len(frames), 2)]
    width = rows[0].shape[1]
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows])


def _beside(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures of any heights in a row, white below the short ones."""
    height = max(len(one) for one in pictures)
    return np.hstack([np.pad(one, ((0, height - len(one)), (0, 0), (0, 0)), constant_values=255) for one in pictures])


def _panel(image: np.ndarray, texts: Mapping[str, str]) -> np.ndarray:
    drawn = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    for number, box in enumerate(parse(texts.get("det", ""))):
        _draw(drawn, box, COLOURS[number % len(COLOURS)])
    lines = [line for name, text in texts.items() if name != "det" for line in textwrap.wrap(text or "(none)", 40)]
    words = np.full((LINE * (len(lines) + 1), SIDE, 3), 255, np.uint8)
    for number, line in enumerate(lines):
        _write(words, line, (4, LINE * (number + 1) - 2), INK)
    framed = np.vstack([drawn, words])
    return cv2.copyMakeBorder(framed, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=PAPER)


def _draw(image: np.ndarray, box: Box, colour: tuple[int, int, int]) -> None:
    left, top, right, bottom = (round(value * (SIDE - 1)) for value in box[:4])
    cv2.rectangle(image, (left, top), (right, bottom), colour, 2)
    _write(image, box.name, (left + 3, min(top + 12, SIDE - 3)), colour)


def _write(image: np.ndarray, text: str, place: tuple[int, int], colour: Any) -> None:
    readable = text.encode("ascii", "replace").decode()
    cv2.putText(image, readable, place, cv2.FONT_HERSHEY_SIMPLEX, 0.38, colour, 1, cv2.LINE_AA)
