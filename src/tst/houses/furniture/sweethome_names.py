"""The category of a model of a Sweet Home 3D catalogue: by its name, its part of the catalogue and its size."""

import re
from dataclasses import dataclass

from tst.houses.categories import CATEGORIES

Range = tuple[float, float]
ANY: Range = (0.0, 20.0)

OUTDOORS = frozenset({"exterior", "vehicles", "characters", "staircases", "doors and windows"})
"""Parts of a catalogue in which a table is not a dining table."""

BRANDS = re.compile(
    r"\b(apple i\w+|i(phone|pad|pod|mac|book)s?|macbook|playstation|xbox|nintendo|wii|rubik|lego|ikea|coca.?cola)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Rule:
    """Models of one category.

    Attributes:
        category: one of `categories.CATEGORIES`.
        name: pattern of the whole name in the catalogue, in any case.
        parts: parts of the catalogue (lower case); none stands for all but `OUTDOORS`.
        width, depth, height: metres.
        elevation: height that it hangs at, metres.
    """

    category: str
    name: str
    parts: tuple[str, ...] = ()
    width: Range = ANY
    depth: Range = ANY
    height: Range = ANY
    elevation: Range = ANY

    def named(self, name: str, part: str) -> bool:
        """Whether a model of this name in this part of the catalogue may be one."""
        part = part.lower()
        there = part in self.parts if self.parts else part not in OUTDOORS
        return there and re.fullmatch(self.name, name, re.IGNORECASE) is not None

    def sized(self, size: tuple[float, float, float], elevation: float) -> bool:
        """Whether (width, depth, height) and elevation are right."""
        limits = (self.width, self.depth, self.height, self.elevation)
        return all(low <= value <= high for value, (low, high) in zip((*size, elevation), limits, strict=True))


LIGHTS = ("lights", "living room", "bedroom", "office")

RULES = (
    Rule("bed", r"((iron|day|child|captain'?s|single|double|hospital|bunk|wooden) )?bed( \d.*)?", depth=(0.6, 2.6)),
    Rule("bedside table", r"(bedside|night) ?(table|stand)", height=(0.3, 0.8)),
    Rule("wardrobe", r"wardrobe.*|cupboard|armoire", ("bedroom", "living room"), height=(1.2, 2.5)),
    Rule("dresser", r"dresser( .*)?|chest of drawers|commode|sideboard|drawers cabinet|filing cabinet|changing table",
         ("bedroom", "living room", "office"), height=(0.4, 1.4)),
    Rule("desk", r"desk|(wooden|kids?|office|computer) desk|desk table", ("office", "living room", "bedroom"),
         height=(0.55, 1.9)),
    Rule("office chair", r"((office|swivel|desk) )?(arm)?chair", ("office",), width=(0.3, 0.75)),
    Rule("office chair", r"(office|swivel|desk) chair"),
    Rule("chair", r"((oak|plastic|osaka|dining|kitchen|wooden|folding|ryokan) )?chair( with cushion)?",
         ("living room", "kitchen", "bedroom"), height=(0.5, 1.3)),
    Rule("stool", r"stool|bar (stool|chair)|piano bench|puff|pouf|ottoman", height=(0.3, 1.2)),
    Rule("bench", r"(.* )?bench", ("living room", "bedroom"), height=(0.3, 1.0)),
    Rule("armchair", r"((winchester|modern|leather|club) )?armchair|easy chair", ("living room", "bedroom")),
    Rule("sofa", r"(.* )?(sofa|couch|settee)( \d seats?)?|convertible sofa( bz)?", ("living room", "bedroom"),
         width=(1.1, 3.6), height=(0.5, 1.2)),
    Rule("coffee table", r"(.* )?coffee table|((living room|low|glass|oak) )?table", ("living room",),
         height=(0.25, 0.6)),
    Rule("dining table", r"((round|square|oak|oval|black|glass|folding|dining|kitchen|wooden( \w+)?) )?table"
         r"( (on trestles|with tablecloth))?", ("living room", "kitchen", "office"), width=(0.6, 3.0), depth=(0.6, 3.0),
         height=(0.65, 0.82)),
    Rule("bookcase", r"(.* )?(bookcase|bookshel(f|ves))|(vertical |storage )?shelves",
         ("living room", "bedroom", "office"), height=(0.7, 2.5)),
    Rule("tv stand", r"(tv|television) (stand|unit|cabinet|bench)", height=(0.2, 0.9)),
    Rule("kitchen cabinet", r"((small|kitchen) )?(lower|base|kitchen) cabinet|drawers cabinet|island", ("kitchen",),
         height=(0.7, 1.0)),
    Rule("upper cabinet", r"(small )?(upper|wall) (shelves )?cabinet|glass door cabinet", ("kitchen",),
         elevation=(1.0, 2.2)),
    Rule("kitchen sink", r"(kitchen )?sink( cabinet)?", ("kitchen",), height=(0.7, 1.4)),
    Rule("stove", r"((large|gas|electric) )?(stove|cooker)", ("kitchen",), height=(0.7, 1.2)),
    Rule("range hood", r"(.* )?hood", ("kitchen",)),
    Rule("refrigerator", r"(.* )?(fridge|refrigerator|fridge.?freezer)( .*)?", height=(0.7, 2.2)),
    Rule("dishwasher", r"dish ?washer"),
    Rule("washing machine", r"(clothes )?washing machine|clothes washer|washer|dryer machine|tumble dryer"),
    Rule("toilet", r"toilets?( unit)?|wc", ("bathroom",)),
    Rule("bathtub", r"bath|(.* )?bath ?tub|(fitted|island) bath", ("bathroom",), width=(1.0, 2.3)),
    Rule("shower", r"shower( (stall|cabin|cubicle))?", ("bathroom",), height=(1.7, 2.4)),
    Rule("washbasin", r"wash ?basin|(double )?vanity|small lavatory", ("bathroom",)),
    Rule("radiator", r"(.* )?radiator", ("miscellaneous", "bathroom", "living room", "bedroom")),
    Rule("piano", r"(.* )?piano"),
    Rule("mirror", r"(.* )?mirror", height=(0.3, 2.2)),
    Rule("picture", r"(.* )?(picture|painting|poster)", depth=(0.0, 0.12)),
    Rule("curtain", r"curtains?|drapes", width=(0.5, 4.0), height=(1.0, 2.8)),
    Rule("rug", r"((oriental|round|square) )?(rug|carpet)|bath ?mat", height=(0.0, 0.06)),
    Rule("plant", r"((decorative|indoor|little|spider|succulent|potted|house) )?plants?|ficus|yucca|bamboo|cactus"
         r"|bonsai( tree)?|spathiphyllum|flowers|tulips|orchids?|white lily", height=(0.08, 2.2)),
    Rule("floor lamp", r"(floor |standing )?(lamp|uplight)", LIGHTS, height=(1.1, 2.1), elevation=(0.0, 0.05)),
    Rule("table lamp", r"((little|table|desk|work|bedside|pedestal vase) )?lamp", LIGHTS, height=(0.15, 0.85),
         elevation=(0.0, 0.05)),
    Rule("ceiling lamp", r"((ceiling|chandelier|pendant|hanging) )?(lamp|light)|chandelier|japanese lantern", LIGHTS,
         height=(0.03, 1.0), elevation=(1.2, 3.0)),
    Rule("television", r"(flat |wall flat )?(tv|television)( 16:9)?", width=(0.4, 1.8)),
    Rule("laptop", r"laptop( computer)?"),
    Rule("monitor", r"(computer |flat )?(monitor|computer screen)"),
    Rule("microwave", r"microwave( oven)?"),
    Rule("toaster", r"toaster|sandwich maker"),
    Rule("kettle", r"(.* )?kettle|tea ?pot", ("kitchen",)),
    Rule("coffee machine", r"(coffee|espresso) (machine|maker|brewer)"),
    Rule("pan", r"((large|small|frying) )?(pan|pot)", ("kitchen",), width=(0.1, 0.6)),
    Rule("bowl", r"((salad|fruit) )?bowl|bowl with salad", ("kitchen",)),
    Rule("plate", r"((oval|dinner|bread) )?plate", ("kitchen",)),
    Rule("cup", r"((coffee|tea|plastic) )?(cup|mug)|glass", ("kitchen",)),
    Rule("bottle", r"((wine|beer|water) )?bottle", ("kitchen", "bathroom"), height=(0.08, 0.45)),
    Rule("fruit", r"apples?|bananas?|oranges?|fruits?|bowl with fruits", ("kitchen",)),
    Rule("vase", r"vase|pottery", height=(0.05, 0.7)),
    Rule("book", r"books?", width=(0.05, 0.5), height=(0.005, 0.5)),
    Rule("clock", r"(.* )?clock", elevation=(0.5, 2.5)),
    Rule("pillow", r"pillow|cushion"),
    Rule("towel", r"towel|folded towels?", ("bathroom", "kitchen")),
    Rule("toy", r"teddy bear|doll( house)?|rocking horse|car model|toy train|wood toy|xylophone|biplane|(soccer )?ball"
         r"|basketball|puzzle"),
    Rule("box", r"(.* )?cardboard box|crate|suitcase", width=(0.1, 1.1)),
    Rule("basket", r"(.* )?basket"),
    Rule("trash can", r"(.* )?(trash ?can|dustbin|waste ?basket)|recycling bin", height=(0.2, 0.9)),
)  # fmt: skip
"""The first that holds decides."""

assert all(rule.category in CATEGORIES for rule in RULES)


def is_wanted(name: str, part: str) -> bool:
    """Whether some rule may take a model of this name in this part of the catalogue, whatever its size."""
    return BRANDS.search(name) is None and any(rule.named(name, part) for rule in RULES)


def category_of(name: str, part: str, size: tuple[float, float, float], elevation: float) -> str | None:
    """The category of a model; None if a house has no place for it.

    Args:
        name: in English, as in the catalogue.
        part: of the catalogue ("Living room").
        size: width, depth and height in metres.
        elevation: height of its underside above the floor in metres.
    """
    if BRANDS.search(name):
        return None
    fitting = (rule for rule in RULES if rule.named(name, part) and rule.sized(size, elevation))
    return next((rule.category for rule in fitting), None)
