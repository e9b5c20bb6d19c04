"""English nouns for the categories: synonyms, plurals, articles, lists."""

from collections.abc import Sequence

from tst.houses.categories import CATEGORIES

SYNONYMS = {
    "sofa": ("sofa", "couch"),
    "bedside table": ("bedside table", "nightstand"),
    "dresser": ("dresser", "chest of drawers"),
    "bookcase": ("bookcase", "bookshelf"),
    "tv stand": ("TV stand",),
    "upper cabinet": ("wall cabinet",),
    "kitchen sink": ("kitchen sink", "sink"),
    "stove": ("stove", "cooker"),
    "refrigerator": ("refrigerator", "fridge"),
    "television": ("television", "TV"),
    "fruit": ("piece of fruit",),
    "trash can": ("trash can", "bin"),
}
NUMBERS = ("no", "a", "two", "three", "four", "five", "six")


def nouns(category: str) -> tuple[str, ...]:
    """What a thing of the category can be called, in the singular."""
    assert category in CATEGORIES, category
    return SYNONYMS.get(category, (category,))


def plural(noun: str) -> str:
    """More than one of it."""
    if " of " in noun:  # chests of drawers
        head, rest = noun.split(" of ", 1)
        return f"{plural(head)} of {rest}"
    if noun.endswith("shelf"):
        return f"{noun[:-1]}ves"
    return noun + ("es" if noun.endswith(("ch", "sh", "s", "x")) else "s")


def with_article(noun: str) -> str:
    """a chair, an armchair."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def counted(noun: str, count: int) -> str:
    """a chair, two chairs; several from seven on."""
    if count == 1:
        return with_article(noun)
    return f"{NUMBERS[count] if count < len(NUMBERS) else 'several'} {plural(noun)}"


def listed(parts: Sequence[str]) -> str:
    """a, b and c."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
