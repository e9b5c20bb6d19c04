"""Captions of a frame, from a grammar over the things that it shows and how they stand to each other.

Every sentence is true by the things' boxes (relations.py), the picture (left, right) and `Thing.on`; nothing is said
that is not known.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from scipy import ndimage

from tst.houses.relations import Placed, all_relations, on_the_wall, relations
from tst.houses.words import counted, listed, nouns, plural, with_article

if TYPE_CHECKING:
    from tst.houses.placement import Thing

FEWEST_WORDS, MOST_WORDS = 6, 20
MOST_THINGS = 14
BACKGROUND = frozenset({"rug", "curtain", "ceiling lamp", "radiator"})
PAIRS = frozenset({"chair", "armchair", "bedside table", "curtain", "pillow", "table lamp", "stool", "towel"})

T = TypeVar("T")


@dataclass(frozen=True)
class Seen:
    """A thing in a picture.

    Attributes:
        thing: which.
        bbox: (x0, y0, x1, y1) of its visible part, as shares of the image's width and height.
        share: of the image that it covers.
        depth: mean depth of its visible part, metres; 0 = unknown.
    """

    thing: "Thing"
    bbox: tuple[float, float, float, float]
    share: float
    depth: float


def seen_from(
    instance: np.ndarray, depth: np.ndarray, things: Sequence["Thing"], min_share: float = 0.004
) -> list[Seen]:
    """The things that cover at least `min_share` of a picture, largest first.

    Args:
        instance: uint16 (H, W).
        depth: float32 (H, W), metres, 0 = unknown.
        things: of the house.
    """
    height, width = instance.shape
    flat, z = instance.ravel(), depth.ravel()
    counts = np.bincount(flat)
    known = np.maximum(np.bincount(flat, z > 0), 1)
    mean = np.bincount(flat, z) / known
    extents = ndimage.find_objects(instance)
    found = []
    for thing in things:
        number = thing.instance
        if number >= len(counts) or counts[number] < max(min_share * instance.size, 1):
            continue
        y, x = extents[number - 1]
        bbox = (x.start / width, y.start / height, x.stop / width, y.stop / height)
        found.append(Seen(thing, bbox, float(counts[number] / instance.size), float(mean[number])))
    return sorted(found, key=lambda seen: -seen.share)


def captions(
    seen: Sequence[Seen], room_kind: str, rng: np.random.Generator, count: int = 5, room: int | None = None
) -> list[str]:
    """`count` different true sentences about a picture, of 6 to 20 words each.

    Args:
        seen: what it shows.
        room_kind: of the room that the camera is in.
        room: its index: things in other rooms are then told apart. None takes everything to be in the room.
    """
    teller = _Teller(seen, room_kind, rng, room)
    told: dict[str, None] = {}
    for template in teller.templates() * 2:
        text = template()
        if len(told) < count and text is not None and FEWEST_WORDS <= len(text.split()) <= MOST_WORDS:
            told.setdefault(f"{text[0].upper()}{text[1:]}.")
    for text in teller.plain():
        if len(told) < count:
            told.setdefault(f"{text[0].upper()}{text[1:]}.")
    assert len(told) >= count, f"only {len(told)} sentences for {count} captions"
    return list(told)


class _Teller:
    """Makes sentences about one picture (which they call a photo: a picture is what hangs on a wall)."""

    def __init__(self, seen: Sequence[Seen], room_kind: str, rng: np.random.Generator, room: int | None) -> None:
        self.kind, self.rng, self.room = room_kind, rng, room
        self.seen = sorted(seen, key=lambda item: -self._weight(item))
        self.placed = [Placed.of(item.thing) for item in self.seen]
        self.here = [k for k, item in enumerate(self.seen) if room is None or item.thing.room == room]
        self.groups = self._groups(self.here)
        self.elsewhere = self._groups([k for k in range(len(self.seen)) if k not in self.here])
        self.used: dict[tuple[int, ...], int] = {}

    @staticmethod
    def _weight(item: Seen) -> float:
        return item.share * (0.4 if item.thing.category in BACKGROUND else 1.0)

    def _groups(self, members: Sequence[int]) -> list[tuple[int, ...]]:
        """The members by category, the most prominent first."""
        groups: dict[str, list[int]] = {}
        for k in members:
            groups.setdefault(self.seen[k].thing.category, []).append(k)
        return [tuple(group) for group in groups.values()]

    # Noun phrases

    def _one_of(self, options: Sequence[T]) -> T:
        return options[int(self.rng.random() * len(options))]

    def name(self, category: str, count: int = 1) -> str:
        """a chair, two chairs, a pair of chairs."""
        noun = self._one_of(nouns(category))
        if count == 2 and category in PAIRS and self.rng.random() < 0.3:
            return f"a pair of {plural(noun)}"
        return counted(noun, count)

    def group(self, group: tuple[int, ...]) -> str:
        """All seen things of a category; with where they hang, sometimes."""
        text = self.name(self.seen[group[0]].thing.category, len(group))
        if all(on_the_wall(self.placed[k]) for k in group):
            return f"{text} on the wall"
        return text

    @cached_property
    def a_room(self) -> str:
        """The room with its article."""
        return with_article(self.kind)

    # Facts

    def facts(self) -> list[tuple[tuple[int, ...], str, int]]:
        """Relations (subjects, relation, object); things that stand on the same thing are one subject."""
        together: dict[tuple[str, str, int], list[int]] = {}
        top = self.placed[:MOST_THINGS]
        found = all_relations(top)
        # Of what stands on something all that is seen is counted, prominent or not.
        for i in range(len(top), len(self.placed)):
            found += [
                (i, r, j) for j, base in enumerate(top) for r in relations(self.placed[i], base) if r in ("on", "in")
            ]
        for i, relation, j in found:
            category = self.placed[i].category
            same = category if relation in ("on", "in") else f"{category} {i}"
            together.setdefault((same, relation, j), []).append(i)
        return [(tuple(who), relation, j) for (_, relation, j), who in together.items()]

    def sides(self) -> list[tuple[int, str]]:
        """Where in the picture things are, for those that are in one place."""
        found = []
        for k in self.here:
            x0, _, x1, _ = self.seen[k].bbox
            middle = (x0 + x1) / 2
            if middle < 0.36 and x1 < 0.6:
                found.append((k, "on the left"))
            elif middle > 0.64 and x0 > 0.4:
                found.append((k, "on the right"))
            elif 0.42 < middle < 0.58 and x1 - x0 < 0.6:
                found.append((k, "in the middle"))
        return found

    def beside(self) -> list[tuple[tuple[int, ...], str, int]]:
        """What is to the left or right of what, among the most prominent things."""
        found: list[tuple[tuple[int, ...], str, int]] = []
        for i in self.here[:6]:
            for j in self.here[:6]:
                a, b = self.seen[i].bbox, self.seen[j].bbox
                if a[2] <= b[0] + 0.05 and b[0] + b[2] - a[0] - a[2] >= 0.3:
                    found += [((i,), "to the left of", j), ((j,), "to the right of", i)]
        return found

    def _draw(self, options: Sequence[T], things: Callable[[T], tuple[int, ...]]) -> T:
        """One of the options, by how prominent their things are; those already told of are less likely."""
        weights = []
        for option in options:
            who = things(option)
            weight = sum(self._weight(self.seen[k]) for k in who) + 0.01
            weights.append(weight * 0.2 ** self.used.get(who, 0))
        at = int(np.searchsorted(np.cumsum(weights), self.rng.random() * sum(weights)))
        drawn = options[min(at, len(options) - 1)]
        self.used[things(drawn)] = self.used.get(things(drawn), 0) + 1
        return drawn

    def relation(self, facts: Sequence[tuple[tuple[int, ...], str, int]]) -> tuple[str, str, str, tuple[int, ...]]:
        """Subject, verb, relation with object, and whom it is about."""
        who, relation, j = self._draw(facts, lambda fact: (*fact[0], fact[2]))
        subject = self.name(self.seen[who[0]].thing.category, len(who))
        verb = "is" if len(who) == 1 else "are"
        return subject, verb, f"{relation} {self.name(self.seen[j].thing.category)}", (*who, j)

    # Sentences

    def templates(self) -> list[Callable[[], str | None]]:
        """What can be said, in random order, the richest kinds twice."""
        facts = self.facts()
        here = [fact for fact in facts if {*fact[0], fact[2]} <= set(self.here)]
        sides, beside = self.sides(), self.beside()
        kinds: list[Callable[[], str | None]] = []
        if len(self.groups) >= 2:
            kinds += [self.inventory] * 2
        if here:
            kinds += [lambda: self.related(here), lambda: self.related_among(here)]
        if len(facts) >= 2:
            kinds.append(lambda: self.related_twice(facts))
        if len(sides) >= 2:
            kinds.append(lambda: self.laid_out(sides))
        if beside:
            kinds.append(lambda: self.related(beside))
        if sides and here:
            kinds.append(lambda: self.related_beside(here, sides))
        if self.groups and self.elsewhere:
            kinds.append(self.with_another_room)
        return [kinds[k] for k in self.rng.permutation(len(kinds))]

    def _some_groups(self, most: int) -> list[str]:
        """A few groups in the order of prominence, with the most prominent among them."""
        wanted = min(int(2 + self.rng.random() * (most - 1)), len(self.groups))
        others = range(1, min(len(self.groups), wanted + 2))
        chosen = sorted(self.rng.permutation(others)[: wanted - 1].tolist()) if wanted > 1 else []
        return [self.group(self.groups[k]) for k in [0, *chosen]]

    def inventory(self) -> str:
        """A living room with a sofa, two armchairs and a coffee table."""
        things = listed(self._some_groups(4))
        return self._one_of(
            [
                f"{self.a_room} with {things}",
                f"a view of {self.a_room} with {things}",
                f"this {self.kind} has {things}",
                f"a photo of {self.a_room} that shows {things}",
                f"{things} in {self.a_room}",
            ]
        )

    def related(self, facts: Sequence[tuple[tuple[int, ...], str, int]]) -> str:
        """A laptop on a desk in an office."""
        subject, verb, rest, _ = self.relation(facts)
        return self._one_of(
            [
                f"{subject} {rest} in {self.a_room}",
                f"in {self.a_room}, {subject} {verb} {rest}",
                f"{self.a_room} in which {subject} {verb} {rest}",
                f"there {verb} {subject} {rest} in this {self.kind}",
                f"{self.a_room} with {subject} {rest}",
            ]
        )

    def related_among(self, facts: Sequence[tuple[tuple[int, ...], str, int]]) -> str | None:
        """A bedroom with a wardrobe, and a lamp on a bedside table."""
        subject, _, rest, who = self.relation(facts)
        told = {self.seen[k].thing.category for k in who}
        others = [group for group in self.groups if self.seen[group[0]].thing.category not in told]
        if not others:
            return None
        other = self.group(self._draw(others, tuple))
        return self._one_of(
            [f"{self.a_room} with {other}, and {subject} {rest}", f"{self.a_room} with {subject} {rest}, and {other}"]
        )

    def related_twice(self, facts: Sequence[tuple[tuple[int, ...], str, int]]) -> str | None:
        """A cup on a table, and a chair next to a bookcase."""
        subject, verb, rest, who = self.relation(facts)
        others = [fact for fact in facts if not {*fact[0], fact[2]} & set(who)]
        if not others:
            return None
        second, second_verb, second_rest, _ = self.relation(others)
        return self._one_of(
            [
                f"{subject} {verb} {rest}, and {second} {second_verb} {second_rest}",
                f"there {verb} {subject} {rest}, and {second} {second_rest}",
            ]
        )

    def laid_out(self, sides: Sequence[tuple[int, str]]) -> str | None:
        """A bedroom with a bed on the left and a wardrobe on the right."""
        first, where = self._draw(sides, lambda side: side[:1])
        others = [side for side in sides if side[1] != where]
        if not others:
            return None
        second, there = self._draw(others, lambda side: side[:1])
        a, b = (self.name(self.seen[k].thing.category) for k in (first, second))
        return self._one_of(
            [
                f"{self.a_room} with {a} {where} and {b} {there}",
                f"{a} {where} and {b} {there} of an image of {self.a_room}",
                f"{where} of this image of {self.a_room} is {a}, and {there} is {b}",
            ]
        )

    def related_beside(
        self, facts: Sequence[tuple[tuple[int, ...], str, int]], sides: Sequence[tuple[int, str]]
    ) -> str | None:
        """A picture above a sofa, with a plant on the right."""
        subject, _, rest, who = self.relation(facts)
        others = [side for side in sides if side[0] not in who]
        if not others:
            return None
        other, where = self._draw(others, lambda side: side[:1])
        return f"{subject} {rest}, with {self.name(self.seen[other].thing.category)} {where}"

    def with_another_room(self) -> str:
        """A hall with a mirror and a view of a bed in another room."""
        there = self.group(self._draw(self.elsewhere, tuple))
        return f"{self.a_room} with {listed(self._some_groups(2))}, and {there} in another room"

    def plain(self) -> Iterator[str]:
        """Simple sentences, of which there are always enough."""
        if self.groups:
            yield from self._plain_here()
        elif self.elsewhere:
            yield from self._plain_elsewhere()
        else:
            empty = ("without any large object", "with nothing large in sight", "where no large object is to be seen")
            for start in ("a view of", "an image of", "a photo of", "a part of", "a corner of"):
                for rest in empty[: 2 if start == "a corner of" else 3]:
                    yield f"{start} {self.a_room} {rest}"

    def _plain_here(self) -> Iterator[str]:
        for group in self.groups:
            things, verb = self.group(group), "is" if len(group) == 1 else "are"
            yield f"a view of {self.a_room} with {things}"
            yield f"an image of {self.a_room} that shows {things}"
            yield f"there {verb} {things} in this part of {self.a_room}"
            yield f"in this image of {self.a_room} one sees {things}"
            yield f"{things} can be seen in this {self.kind}"
            yield f"a photo taken in {self.a_room} that has {things} in view"
            yield f"part of {self.a_room} in which there {verb} {things}"

    def _plain_elsewhere(self) -> Iterator[str]:
        for group in self.elsewhere:
            things = self.group(group)
            yield f"a view from {self.a_room} of {things} in another room"
            yield f"from {self.a_room} one can see {things} in another room"
            yield f"{things} in another room, seen from {self.a_room}"
            yield f"an image taken in {self.a_room} that shows {things} in another room"
            yield f"a photo of {things} in another room, taken from {self.a_room}"
