"""Captions are checked by reading them: a small parser finds the claims, and geometry of its own whether they hold."""

import re
import time

import numpy as np
import pytest
from small_house import HOUSE, thing

from tst.houses.captions import Seen, captions, seen_from
from tst.houses.categories import CATEGORIES
from tst.houses.placement import Thing
from tst.houses.words import NUMBERS, nouns, plural

PHRASES: dict[str, tuple[str, int]] = {}
for category in CATEGORIES:
    for noun in nouns(category):
        PHRASES[f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"] = (category, 1)
        PHRASES[f"a pair of {plural(noun)}"] = (category, 2)
        PHRASES |= {f"{NUMBERS[n]} {plural(noun)}": (category, n) for n in range(2, 7)}
        PHRASES[f"several {plural(noun)}"] = (category, 7)
LOWER = {phrase.lower(): meaning for phrase, meaning in PHRASES.items()}
NOUNS = re.compile(r"\b(" + "|".join(noun for name in CATEGORIES for noun in nouns(name)) + r")s?\b")
NOUN_PHRASE = re.compile(r"\b(" + "|".join(sorted(map(re.escape, PHRASES), key=len, reverse=True)) + r")\b", re.I)
RELATION = re.compile(r"^(?: is| are)? (on|in|under|above|at|in front of|next to|to the left of|to the right of) $")
ROOM = re.compile(r"\b(?:an? |this )(living room|kitchen|bedroom|bathroom|hall|office)\b(?! chair)", re.I)


def samples(item: Thing) -> np.ndarray:
    """Points (N, 2) over the footprint."""
    grid = np.stack(np.meshgrid(*[np.linspace(0.02, 0.98, 12)] * 2), -1).reshape(-1, 2)
    return item.bounds[0, :2] + grid * np.ptp(item.bounds[:, :2], axis=0)


def within(a: Thing, b: Thing) -> float:
    """Share of a's footprint that is over b's."""
    points = samples(a)
    return float(((points > b.bounds[0, :2]) & (points < b.bounds[1, :2])).all(1).mean())


def apart(a: Thing, b: Thing) -> float:
    return float(np.linalg.norm(samples(a)[:, None] - samples(b)[None], axis=2).min())


def true_in_space(a: Thing, relation: str, b: Thing) -> bool:
    (a_low, a_high), b_high = a.bounds[:, 2], b.bounds[1, 2]
    if relation in ("on", "in"):
        return a.on == b.instance or (b.category == "rug" and a_low < 0.1 and within(a, b) > 0.75)
    if a.room != b.room or a.on == b.instance or b.on == a.instance:
        return False
    if relation == "under":
        return a_high <= b_high and (max(within(a, b), within(b, a) if a.category == "rug" else 0) > 0.45)
    if relation == "above":
        return bool(a_low >= b_high - 0.03 and apart(a, b) < 0.35)
    if relation == "at":
        return "table" in b.category or (b.category == "desk" and apart(a, b) < 0.4)
    if relation == "in front of":
        # Stepping forward from somewhere on b's footprint, one comes upon a.
        forward = np.array([np.sin(b.yaw), -np.cos(b.yaw)])
        steps = samples(b)[None] + forward * np.linspace(0, 1 + np.ptp(b.bounds[:, :2]), 60)[:, None, None]
        met = ((steps > a.bounds[0, :2]) & (steps < a.bounds[1, :2])).all(-1).any()
        ahead = (a.bounds[:, :2].mean(0) - b.bounds[:, :2].mean(0)) @ forward
        return bool(met and ahead > 0)
    assert relation == "next to"
    return apart(a, b) < 0.45 and within(a, b) == 0 and a.on == b.on


def left_of(a: Seen, b: Seen) -> bool:
    return a.bbox[0] + a.bbox[2] < b.bbox[0] + b.bbox[2] and a.bbox[2] < b.bbox[0] + 0.1


def on_side(item: Seen, side: str) -> bool:
    middle = (item.bbox[0] + item.bbox[2]) / 2
    return {"left": middle < 0.4, "right": middle > 0.6, "middle": 0.4 < middle < 0.6}[side]


def relates(a: Seen, relation: str, b: Seen) -> bool:
    if relation == "to the left of":
        return left_of(a, b)
    if relation == "to the right of":
        return left_of(b, a)
    return true_in_space(a.thing, relation, b.thing)


def check(text: str, seen: list[Seen], kind: str, room: int | None) -> int:
    """Assert that a caption is well formed and true; the number of claims beyond what there is."""
    assert text[0].isupper() and text.endswith(".") and "  " not in text and 6 <= len(text.split()) <= 20, text
    rooms = ROOM.findall(text)
    assert all(name.lower() == kind for name in rooms), text
    phrases = list(NOUN_PHRASE.finditer(text))
    claims = 0
    used = set()
    for index, phrase in enumerate(phrases):
        category, count = LOWER[phrase[0].lower()]
        members = [item for item in seen if item.thing.category == category]
        after = text[phrase.end() : phrases[index + 1].start()] if index + 1 < len(phrases) else text[phrase.end() :]
        relation = RELATION.match(after) if index + 1 < len(phrases) else None
        if relation:
            claims += 1
            used.add(index + 1)
            other = LOWER[phrases[index + 1][0].lower()][0]
            bases = [item for item in seen if item.thing.category == other]
            numbers = [sum(relates(a, relation[1], b) for a in members) for b in bases]
            assert count in numbers if count > 1 else max(numbers, default=0) > 0, (text, numbers)
            continue
        if side := re.match(r" on the (left|right)\b| in the (middle)\b", after):
            claims += 1
            assert any(on_side(item, side[1] or side[2]) for item in members), text
            continue
        if after.startswith(" on the wall"):
            assert all(item.thing.on is None and item.thing.bounds[0, 2] > 0.4 for item in members), text
        if index in used:
            continue
        if "in another room" in after:
            members = [item for item in members if item.thing.room != room]
        elif room is not None:
            members = [item for item in members if item.thing.room == room]
        found = len(members)
        backwards = re.search(r"(left|right|middle) of this image of an? [a-z ]+ is $", text[: phrase.start()])
        if count > 1:
            assert found == count or (count == 7 and found >= 7), (text, found)
        elif not backwards and "and on the" not in text and "and in the" not in text:
            assert found == 1, (text, found)
        assert found >= 1, text
    bare = NOUN_PHRASE.sub("", text)
    assert not NOUNS.search(bare), text  # nothing is named without being checked
    return claims


def scene(rng: np.random.Generator) -> list[Seen]:
    """Things in two rooms anywhere, some on others, seen anywhere in the picture."""
    floor = ["sofa", "armchair", "coffee table", "dining table", "desk", "chair", "office chair", "bed", "bookcase"]
    floor += ["bedside table", "wardrobe", "rug", "plant", "stove", "floor lamp"]
    small = ["cup", "book", "laptop", "pillow", "fruit", "vase", "box"]
    things: list[Thing] = []
    for number in range(1, int(rng.integers(2, 24))):
        kind, room = rng.integers(4), int(rng.random() < 0.2)
        x, y = rng.uniform(0, 3.5, 2) + np.array([5 * room, 0])
        w, d, h = rng.uniform(0.4, 1.6), rng.uniform(0.3, 0.9), rng.uniform(0.4, 1.2)
        yaw = float(rng.integers(4)) * np.pi / 2
        bases = [t for t in things if t.on is None and 0.3 < t.bounds[1, 2] < 1.2]
        if kind == 0 and bases:
            base = bases[int(rng.integers(len(bases)))]
            at = np.append(base.bounds[:, :2].mean(0) + rng.uniform(-0.1, 0.1, 2), base.bounds[1, 2])
            name = small[int(rng.integers(len(small)))]
            low, high = at - np.array([0.1, 0.1, 0]), at + np.array([0.1, 0.1, 0.2])
            things.append(thing(number, name, tuple(low), tuple(high), base.room, base.instance))
        elif kind == 1:
            name = ("picture", "mirror", "upper cabinet", "ceiling lamp")[int(rng.integers(4))]
            z = {"picture": 1.4, "mirror": 1.2, "upper cabinet": 1.5}.get(name, 2.0)
            things.append(thing(number, name, (x, y, z), (x + w / 2, y + 0.05, z + 0.5), room))
        else:
            name = floor[int(rng.integers(len(floor)))]
            h = 0.01 if name == "rug" else h
            things.append(thing(number, name, (x, y, 0), (x + w, y + d, h), room, yaw=yaw))
    seen = []
    for item in things:
        x0, y0 = rng.uniform(0, 0.8, 2)
        x1, y1 = rng.uniform([x0, y0], 1.0) if rng.random() < 0.3 else (min(x0 + 0.15, 1), min(y0 + 0.15, 1))
        seen.append(Seen(item, (x0, y0, float(x1), float(y1)), float(rng.uniform(0.004, 0.2)), 2.0))
    return seen


def test_captions_are_true_different_and_of_coco_length() -> None:
    rng = np.random.default_rng(0)
    claims, relations, starts = 0, set(), set()
    for _ in range(150):
        seen = scene(rng)
        room = 0 if rng.random() < 0.7 else None
        told = captions(seen, "living room", rng, room=room)
        assert len(told) == len(set(told)) == 5
        for text in told:
            claims += check(text, seen, "living room", room)
            relations |= set(
                re.findall(r"under|above| at |in front of|next to| on an? | in an? | to the left of", text)
            )
            starts.add(" ".join(text.split()[:2]))
    assert claims > 300 and len(relations) >= 7 and len(starts) > 40


@pytest.mark.parametrize("ids", [(), (16,), (16, 18), (11,), (11, 16), tuple(range(11, 20))])
def test_five_sentences_whatever_is_seen(ids: tuple[int, ...]) -> None:
    seen = [Seen(t, (0.1, 0.2, 0.4, 0.5), 0.05, 2.0) for t in HOUSE.things if t.instance in ids]
    for seed in range(20):
        told = captions(seen, "bedroom", np.random.default_rng(seed), room=1)
        assert len(set(told)) == 5
        for text in told:
            check(text, seen, "bedroom", 1)
            assert ("no " in text or "any large" in text or "nothing" in text) == (not ids)


def test_what_is_most_prominent_is_told_most() -> None:
    rng = np.random.default_rng(0)
    shares = {11: 0.3, 12: 0.1, 15: 0.004, 19: 0.08}
    seen = [Seen(t, (0.1, 0.4, 0.6, 0.9), shares[t.instance], 2.0) for t in HOUSE.things if t.instance in shares]
    told = [text for _ in range(50) for text in captions(seen, "living room", rng, room=0)]
    sofa, cup = (np.mean([bool(re.search(word, text)) for text in told]) for word in ("sofa|couch", "cup"))
    assert sofa > 1.3 * cup and cup > 0.05
    assert len(set(told)) > 60


def test_the_same_seed_tells_the_same() -> None:
    seen = [Seen(t, (0.1, 0.2, 0.4, 0.5), 0.05, 2.0) for t in HOUSE.things]
    assert captions(seen, "hall", np.random.default_rng(3)) == captions(seen, "hall", np.random.default_rng(3))


def test_seen_from_measures_each_things_part() -> None:
    instance = np.zeros((100, 200), np.uint16)
    depth = np.full((100, 200), 5.0, np.float32)
    instance[20:60, 50:150], depth[20:60, 50:150] = 11, 2.0
    depth[20:60, 50:100] = 3.0
    depth[20:30, 50:150] = 0
    instance[90:, :20] = 15
    instance[0, 0] = 16
    sofa, cup = seen_from(instance, depth, HOUSE.things)
    assert sofa.thing.category == "sofa" and sofa.bbox == (0.25, 0.2, 0.75, 0.6)
    assert sofa.share == pytest.approx(0.2) and sofa.depth == pytest.approx(2.5)
    assert cup.bbox == (0.0, 0.9, 0.1, 1.0) and cup.share == pytest.approx(0.01)
    assert [s.thing.instance for s in seen_from(instance, depth, HOUSE.things, min_share=0)] == [11, 15, 16]


def test_captions_are_fast() -> None:
    rng = np.random.default_rng(1)
    scenes = [scene(rng) for _ in range(40)]
    start = time.process_time()
    for seen in scenes:
        captions(seen, "living room", rng, room=0)
    assert (time.process_time() - start) / len(scenes) < 0.02  # about 1 ms on an idle core
