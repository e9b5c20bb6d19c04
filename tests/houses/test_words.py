from tst.houses.categories import CATEGORIES
from tst.houses.words import counted, listed, nouns, plural, with_article

IRREGULAR = {
    "bench": "benches",
    "bookshelf": "bookshelves",
    "box": "boxes",
    "chest of drawers": "chests of drawers",
    "couch": "couches",
    "piece of fruit": "pieces of fruit",
    "shelf": "shelves",
    "toy": "toys",
    "TV": "TVs",
    "piano": "pianos",
}


def test_plurals() -> None:
    for noun, expected in IRREGULAR.items():
        assert plural(noun) == expected
    regular = {noun for name in CATEGORIES for noun in nouns(name)} - IRREGULAR.keys()
    assert all(plural(noun) == f"{noun}s" for noun in regular)
    # None of them ends as a noun does that takes more than an s.
    assert not [noun for noun in regular if noun.endswith(("s", "x", "ch", "sh", "f", "fe", "by", "dy", "ry", "ty"))]


def test_no_two_categories_share_a_word() -> None:
    words = [noun for name in CATEGORIES for noun in nouns(name)]
    assert len(words) == len(set(words))


def test_articles_counts_and_lists() -> None:
    assert with_article("armchair") == "an armchair" and with_article("TV") == "a TV"
    assert [counted("box", n) for n in (1, 2, 6, 9)] == ["a box", "two boxes", "six boxes", "several boxes"]
    assert listed(["a"]) == "a" and listed(["a", "b"]) == "a and b" and listed(["a", "b", "c"]) == "a, b and c"
