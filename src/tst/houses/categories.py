"""The classes that things in a house have, in one fixed order: the class list of every Space made from houses."""

STRUCTURE = ("wall", "floor", "ceiling", "door", "window")

FURNITURE = (
    "bed",
    "bedside table",
    "wardrobe",
    "dresser",
    "desk",
    "office chair",
    "chair",
    "stool",
    "bench",
    "armchair",
    "sofa",
    "coffee table",
    "dining table",
    "bookcase",
    "shelf",
    "tv stand",
    "kitchen cabinet",
    "upper cabinet",
    "kitchen sink",
    "stove",
    "range hood",
    "refrigerator",
    "dishwasher",
    "washing machine",
    "toilet",
    "bathtub",
    "shower",
    "washbasin",
    "radiator",
    "piano",
)

THINGS = (
    "mirror",
    "picture",
    "curtain",
    "rug",
    "plant",
    "floor lamp",
    "table lamp",
    "ceiling lamp",
    "television",
    "laptop",
    "monitor",
    "microwave",
    "toaster",
    "kettle",
    "coffee machine",
    "pan",
    "bowl",
    "plate",
    "cup",
    "bottle",
    "fruit",
    "vase",
    "book",
    "clock",
    "pillow",
    "towel",
    "toy",
    "box",
    "basket",
    "trash can",
)

CATEGORIES = FURNITURE + THINGS
CLASSES = STRUCTURE + CATEGORIES
CLASS_INDEX = {name: index for index, name in enumerate(CLASSES)}

COMMON = {
    "wall": ("wall",),
    "floor": ("floor",),
    "ceiling": ("ceiling",),
    "door": ("door",),
    "window": ("window",),
    "bed": ("bed",),
    "table": ("bedside table", "desk", "coffee table", "dining table"),
    "seat": ("office chair", "chair", "stool", "bench", "armchair"),
    "sofa": ("sofa",),
    "cabinet": ("wardrobe", "dresser", "tv stand", "kitchen cabinet", "upper cabinet"),
    "shelf": ("bookcase", "shelf"),
    "kitchen appliance": ("stove", "range hood", "refrigerator", "dishwasher", "washing machine", "kitchen sink"),
    "bathroom fixture": ("toilet", "bathtub", "shower", "washbasin"),
    "curtain": ("curtain",),
    "rug": ("rug",),
    "picture": ("picture", "mirror"),
    "plant": ("plant",),
    "lamp": ("floor lamp", "table lamp", "ceiling lamp"),
    "screen": ("television", "laptop", "monitor"),
    "pillow": ("pillow", "towel"),
    "radiator": ("radiator",),
    "piano": ("piano",),
    "small thing": (
        *("microwave", "toaster", "kettle", "coffee machine", "pan", "bowl", "plate", "cup", "bottle", "fruit"),
        *("vase", "book", "clock", "toy", "box", "basket", "trash can"),
    ),
}
"""A shorter class list: its names, and the classes that each stands for."""


def common_index() -> list[int]:
    """Index into `COMMON` of each of `CLASSES`."""
    place = {name: index for index, names in enumerate(COMMON.values()) for name in names}
    return [place[name] for name in CLASSES]
