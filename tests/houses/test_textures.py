from collections.abc import Callable

import numpy as np
import pytest

from tst.houses import textures
from tst.houses.mesh import Texture

Make = Callable[[np.random.Generator], Texture]
OAK, GREY, RED = (0.75, 0.6, 0.42), (0.7, 0.7, 0.68), (0.6, 0.2, 0.2)

REPEATING: dict[str, Make] = {
    "wood_grain": lambda rng: textures.wood_grain(rng, OAK),
    "planks": lambda rng: textures.planks(rng, OAK, 13),
    "parquet": lambda rng: textures.parquet(rng, OAK),
    "tiles": lambda rng: textures.tiles(rng, GREY, second=RED),
    "bonded tiles": lambda rng: textures.tiles(rng, GREY, rows=8, bond=True),
    "plaster": lambda rng: textures.plaster(rng, GREY),
    "stripes": lambda rng: textures.wallpaper(rng, GREY, RED, "stripes"),
    "damask": lambda rng: textures.wallpaper(rng, GREY, RED, "damask"),
    "dots": lambda rng: textures.wallpaper(rng, GREY, RED, "dots"),
    "leaves": lambda rng: textures.wallpaper(rng, GREY, RED, "leaves"),
    "brick": lambda rng: textures.brick(rng, RED),
    "carpet": lambda rng: textures.carpet(rng, GREY),
    "weave": lambda rng: textures.fabric(rng, RED),
    "ribs": lambda rng: textures.fabric(rng, RED, "ribs"),
    "striped fabric": lambda rng: textures.fabric(rng, RED, "stripes"),
    "check": lambda rng: textures.fabric(rng, RED, "check"),
    "marble": lambda rng: textures.marble(rng, GREY),
    "terrazzo": lambda rng: textures.terrazzo(rng, GREY, (OAK, RED)),
}
RUGS = ("bordered", "stripes", "geometric", "rings", "plain")


def rug(kind: str) -> Make:
    return lambda rng: textures.rug_pattern(rng, RED, GREY, OAK, kind)


ONCE: dict[str, Make] = {"picture": textures.picture_print, **{kind: rug(kind) for kind in RUGS}}


@pytest.mark.parametrize("make", [*REPEATING.values(), *ONCE.values()], ids=[*REPEATING, *(f"once-{k}" for k in ONCE)])
def test_a_texture_is_a_small_image_that_the_seed_fixes(make: Make) -> None:
    first, again, other = (make(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert isinstance(first, Texture) and first.size > 0
    assert first.pixels.dtype == np.uint8 and first.pixels.shape[2] == 3 and max(first.pixels.shape) <= 256
    assert np.array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.pixels, other.pixels)


@pytest.mark.parametrize("make", REPEATING.values(), ids=REPEATING)
def test_a_repetition_joins_without_a_seam(make: Make) -> None:
    pixels = make(np.random.default_rng(3)).pixels.astype(float)
    for axis in (0, 1):
        steps = np.abs(pixels - np.roll(pixels, 1, axis)).mean(axis=(1 - axis, 2))
        # Joints of tiles and boards are steep wherever they are: the seam may be as steep as those, not steeper.
        assert steps[0] <= np.sort(steps)[-2] * 1.1 + 2, f"seam across axis {axis}"


@pytest.mark.parametrize("name", ["plaster", "carpet", "weave", "wood_grain", "planks", "parquet"])
def test_a_texture_has_the_colour_asked_for(name: str) -> None:
    asked = {"plaster": GREY, "carpet": GREY, "weave": RED}.get(name, OAK)
    mean = REPEATING[name](np.random.default_rng(4)).pixels.mean((0, 1)) / 255
    assert np.abs(mean - asked).max() < 0.06


def test_pictures_differ_in_kind() -> None:
    prints = [textures.picture_print(np.random.default_rng(seed)).pixels.astype(float) for seed in range(12)]
    apart = [np.abs(a - b).mean() for k, a in enumerate(prints) for b in prints[:k]]
    assert min(apart) > 10


@pytest.mark.parametrize("seed", range(6))
def test_the_panorama_has_a_bright_sky_over_the_ground_and_closes_on_itself(seed: int) -> None:
    view = textures.panorama(np.random.default_rng(seed))
    assert view.dtype == np.uint8 and view.shape == (256, 512, 3)
    assert view[:60].mean() > view[-60:].mean() + 15
    sky_and_ground = np.r_[view[:90], view[-60:]].astype(float)
    steps = np.abs(sky_and_ground - np.roll(sky_and_ground, 1, 1)).mean((0, 2))
    assert steps[0] <= steps.max() + 1e-9 and steps[0] < 4 * np.median(steps) + 2
    assert len(np.unique(view[110:140].reshape(-1, 3), axis=0)) > 50
