"""Sofas, armchairs, chairs, office chairs, stools and benches."""

import math
from dataclasses import replace

import numpy as np

from tst.houses.furniture.builtin import piece
from tst.houses.furniture.parts import finished, oval, solid
from tst.houses.furniture.piece import Piece, Support
from tst.houses.furniture.shapes import (
    arched,
    bar,
    board,
    cushion,
    disc,
    drawers,
    four_legs,
    splayed,
    sweep,
    turned_leg,
)
from tst.houses.mesh import Material, Mesh, ball, box, cylinder, join, rounded_box
from tst.houses.styles import Style

Rng = np.random.Generator


def _upholstery(rng: Rng, style: Style, leather: float = 0.25) -> Material:
    return style.leather(rng) if rng.random() < leather else style.fabric(rng)


def _seat_support(width: float, front: float, back: float, z: float, clearance: float = 0.8) -> Support:
    """Where a cushion can lean on the backrest: the rear part of a seat."""
    return Support(-width / 2 + 0.02, max(front, back - 0.36), width / 2 - 0.02, back - 0.01, z, clearance)


def _cushions(width: float, count: int, y0: float, y1: float, z0: float, z1: float, cover: Material) -> list[Mesh]:
    """A row of `count` rounded cushions."""
    each = width / count
    start = -width / 2
    return [
        rounded_box([start + k * each + 0.004, y0, z0], [start + (k + 1) * each - 0.004, y1, z1], cover, 0.045)
        for k in range(count)
    ]


def _back_cushions(width: float, count: int, y: float, z: float, tall: float, cover: Material) -> list[Mesh]:
    """A row of stuffed back cushions leaning on a backrest at depth `y`, standing at height `z`."""
    each = width / count
    lying = cushion(each - 0.01, tall, 0.2, cover, power=5)
    standing = lying.turned(math.radians(80), "x")
    return [standing.moved(-width / 2 + (k + 0.5) * each, y - 0.13, z + tall / 2 - 0.01) for k in range(count)]


@piece("sofa", "two-seat", "chesterfield", "three-seat", "chaise", "wood-framed", "camelback")
def sofa(rng: Rng, style: Style, variant: str) -> Piece:
    """A sofa for two to four."""
    build = {"chesterfield": _chesterfield, "chaise": _chaise, "wood-framed": _framed_sofa, "camelback": _camelback}
    return build.get(variant, _boxy_sofa)(rng, style, variant)


def _boxy_sofa(rng: Rng, style: Style, variant: str) -> Piece:
    seats = 2 if variant == "two-seat" else 3
    arm, leg = float(rng.uniform(0.1, 0.22)), float(rng.uniform(0.06, 0.16))
    inner = seats * float(rng.uniform(0.58, 0.7))
    half, depth = inner / 2 + arm, float(rng.uniform(0.82, 0.95))
    seat, back = float(rng.uniform(0.42, 0.46)), float(rng.uniform(0.76, 0.88))
    arm_top = seat + float(rng.uniform(0.12, 0.2))
    cover = _upholstery(rng, style)
    parts = [
        rounded_box([-inner / 2, 0, leg], [inner / 2, depth - 0.1, seat - 0.15], cover, 0.02, 1),
        rounded_box([-half, depth - 0.2, leg], [half, depth, back - 0.06], cover, 0.04),
        *_cushions(inner, seats, -0.02, depth - 0.18, seat - 0.16, seat, cover),
        *_back_cushions(inner, seats, depth - 0.2, seat, back - seat + 0.03, cover),
    ]
    for side in (-1, 1):
        x = sorted((side * inner / 2, side * half))
        parts.append(rounded_box([x[0], -0.01, leg], [x[1], depth - 0.02, arm_top], cover, 0.04))
    material = style.wood(rng) if rng.random() < 0.6 else style.metal(rng)
    legs = four_legs(2 * half - 0.16, depth - 0.16, splayed(leg + 0.01, 0.022, 0.02, material))
    parts += [mesh.moved(0, depth / 2, 0) for mesh in legs]
    return finished("sofa", variant, parts, [_seat_support(inner, 0, depth - 0.48, seat)])


def _chesterfield(rng: Rng, style: Style, variant: str) -> Piece:
    seats = int(rng.integers(2, 4))
    inner, depth, roll = seats * 0.62, float(rng.uniform(0.86, 0.96)), float(rng.uniform(0.09, 0.11))
    top, seat = float(rng.uniform(0.7, 0.78)), 0.44
    half = inner / 2 + 0.17
    cover = _upholstery(rng, style, 0.7)
    wood, foot = style.wood(rng), 0.09
    parts = [
        rounded_box([-inner / 2 - 0.02, 0.02, foot], [inner / 2 + 0.02, depth - 0.1, seat - 0.14], cover, 0.02, 1),
        rounded_box([-half, depth - 0.18, foot], [half, depth - 0.04, top], cover, 0.03, 1),
        *_cushions(inner, seats, 0.0, depth - 0.19, seat - 0.15, seat, cover),
        bar((-half, depth - 0.11, top), (half, depth - 0.11, top), roll, cover, corner=4),
    ]
    for side in (-1, 1):
        x = side * (inner / 2 + 0.09)
        parts.append(rounded_box([x - 0.085, 0.02, foot], [x + 0.085, depth - 0.06, top], cover, 0.03, 1))
        parts.append(bar((x, 0.0, top), (x, depth - 0.11, top), roll, cover, corner=4))
        parts.append(ball(roll, cover, 12).scaled(1, 0.3, 1).moved(x, 0.0, top))
    # Buttons in diamonds are what one knows this sofa by.
    button = ball(0.014, wood, 6)
    for row, z in enumerate(np.arange(seat + 0.08, top - 0.03, 0.09)):
        count = seats * 4 - row % 2
        parts += [button.moved((k - (count - 1) / 2) * inner / (seats * 4), depth - 0.181, z) for k in range(count)]
    legs = four_legs(
        2 * half - 0.2, depth - 0.2, lambda x, y: cylinder(0.03, 0, foot + 0.01, wood, 8, 0.045).moved(x, y)
    )
    parts += [mesh.moved(0, depth / 2, 0) for mesh in legs]
    return finished("sofa", variant, parts, [_seat_support(inner, 0, depth - 0.23, seat, 0.2)])


def _chaise(rng: Rng, style: Style, variant: str) -> Piece:
    inner, depth, arm = float(rng.uniform(1.9, 2.3)), float(rng.uniform(0.88, 0.96)), 0.16
    long, seat, back = float(rng.uniform(0.5, 0.65)), float(rng.uniform(0.4, 0.44)), float(rng.uniform(0.72, 0.82))
    side = -1 if rng.random() < 0.5 else 1
    cover, base = _upholstery(rng, style, 0.3), style.wood(rng)
    lounge = inner * 0.38
    edge = inner / 2 - lounge
    mat = style.fabric(rng)
    parts = [
        rounded_box([-inner / 2, 0, 0.05], [edge, depth - 0.1, seat - 0.14], cover, 0.02, 1),
        rounded_box([edge, -long, 0.05], [inner / 2, depth - 0.1, seat - 0.14], cover, 0.02, 1),
        rounded_box([edge + 0.004, -long - 0.02, seat - 0.15], [inner / 2 - 0.004, depth - 0.2, seat], cover, 0.05),
        rounded_box([-inner / 2 - arm, depth - 0.2, 0.05], [inner / 2 + arm, depth, back - 0.05], cover, 0.05),
        rounded_box([-inner / 2 - arm, 0, 0.05], [-inner / 2, depth - 0.05, seat + 0.16], cover, 0.05),
        rounded_box([inner / 2, 0.1, 0.05], [inner / 2 + arm, depth - 0.05, seat + 0.16], cover, 0.05),
        *[
            mesh.moved(-lounge / 2, 0, 0)
            for mesh in _cushions(inner - lounge, 2, -0.02, depth - 0.2, seat - 0.15, seat, cover)
        ],
        *_back_cushions(inner, 3, depth - 0.2, seat, back - seat + 0.02, mat if rng.random() < 0.3 else cover),
        box([-inner / 2, 0.05, 0.0], [inner / 2, depth - 0.05, 0.051], base, skip="Z"),
        box([edge + 0.05, -long + 0.05, 0.0], [inner / 2 - 0.05, 0.05, 0.051], base, skip="Z"),
    ]
    support = _seat_support(inner, 0, depth - 0.48, seat)
    mesh = join(parts)
    if side < 0:  # a half turn of the long seat to the other end: mirrored, so the triangles are wound anew
        mesh = _mirrored(mesh)
    return finished("sofa", variant, [mesh], [support])


def _mirrored(mesh: Mesh) -> Mesh:
    flip = np.array([-1, 1, 1], np.float32)
    return Mesh(
        (mesh.points * flip)[:, ::-1], (mesh.normals * flip)[:, ::-1], mesh.uv[:, ::-1], mesh.material, mesh.materials
    )


def _framed_sofa(rng: Rng, style: Style, variant: str) -> Piece:
    seats = int(rng.integers(2, 4))
    inner, depth = seats * float(rng.uniform(0.6, 0.66)), float(rng.uniform(0.78, 0.86))
    half, seat, back = inner / 2 + 0.05, 0.43, float(rng.uniform(0.78, 0.86))
    wood, cover = style.wood(rng), style.fabric(rng)
    parts = [
        board([-half, 0.04, 0.24], [half, depth - 0.1, 0.29], wood),
        *_cushions(inner, seats, 0.0, depth - 0.18, 0.3, seat, cover),
        *_back_cushions(inner, seats, depth - 0.12, seat, back - seat + 0.01, cover),
        board([-half, depth - 0.05, back - 0.1], [half, depth, back - 0.04], wood),
        board([-half, depth - 0.05, 0.36], [half, depth, 0.42], wood),
    ]
    parts += [
        board([x - 0.015, depth - 0.04, 0.42], [x + 0.015, depth - 0.015, back - 0.1], wood)
        for x in np.linspace(-half + 0.1, half - 0.1, seats * 6)
    ]
    for side in (-1, 1):
        x = side * half
        parts += [
            board([x - 0.03, 0.02, 0], [x + 0.03, 0.075, 0.6], wood),
            board([x - 0.03, depth - 0.06, 0], [x + 0.03, depth, back - 0.04], wood),
            board([x - 0.045, -0.02, 0.6], [x + 0.045, depth, 0.635], wood),
            *[
                board([x - 0.012, y, 0.29], [x + 0.012, y + 0.03, 0.6], wood)
                for y in np.linspace(0.16, depth - 0.18, 5)
            ],
        ]
    return finished("sofa", variant, parts, [_seat_support(inner, 0, depth - 0.41, seat)])


def _camelback(rng: Rng, style: Style, variant: str) -> Piece:
    inner, depth, seat = float(rng.uniform(1.3, 1.75)), float(rng.uniform(0.78, 0.86)), 0.46
    arch, half = float(rng.uniform(0.12, 0.2)), inner / 2 + 0.12
    cover, wood = style.fabric(rng), style.wood(rng)
    # The back is a wall whose top edge swings up in the middle.
    parts = [
        rounded_box([-inner / 2, 0, 0.2], [inner / 2, depth - 0.1, seat - 0.13], cover, 0.02, 1),
        rounded_box([-inner / 2 + 0.003, -0.02, seat - 0.14], [inner / 2 - 0.003, depth - 0.15, seat], cover, 0.06),
        arched(-half, half, depth - 0.16, depth, 0.2, 0.74, arch, cover),
    ]
    for side in (-1, 1):
        x = sorted((side * inner / 2, side * half))
        parts.append(rounded_box([x[0], 0.03, 0.2], [x[1], depth - 0.1, 0.62], cover, 0.02, 1))
        middle = sum(x) / 2 + side * 0.02
        parts.append(bar((middle, 0.01, 0.63), (middle, depth - 0.08, 0.63), 0.08, cover, corner=4))
    legs = four_legs(2 * half - 0.12, depth - 0.14, turned_leg(0.21, 0.032, wood))
    parts += [mesh.moved(0, depth / 2, 0) for mesh in legs]
    return finished("sofa", variant, parts, [_seat_support(inner, 0, depth - 0.18, seat, 0.16)])


@piece("armchair", "club", "wing", "lounge", "tub")
def armchair(rng: Rng, style: Style, variant: str) -> Piece:
    """A chair to sit deep in."""
    build = {"club": _club, "wing": _wing, "lounge": _lounge, "tub": _tub}
    return build[variant](rng, style)


def _club(rng: Rng, style: Style) -> Piece:
    inner, arm, depth = float(rng.uniform(0.52, 0.6)), float(rng.uniform(0.12, 0.2)), float(rng.uniform(0.76, 0.88))
    seat, back, leg = 0.43, float(rng.uniform(0.74, 0.86)), float(rng.uniform(0.08, 0.15))
    half, cover = inner / 2 + arm, _upholstery(rng, style, 0.4)
    parts = [
        rounded_box([-inner / 2, 0.02, leg], [inner / 2, depth - 0.1, seat - 0.15], cover, 0.02, 1),
        rounded_box([-inner / 2 + 0.003, -0.02, seat - 0.16], [inner / 2 - 0.003, depth - 0.2, seat], cover, 0.06),
        rounded_box([-half, depth - 0.19, leg], [half, depth, back], cover, 0.06),
        *_back_cushions(inner, 1, depth - 0.19, seat, back - seat - 0.02, cover),
    ]
    for side in (-1, 1):
        x = sorted((side * inner / 2, side * half))
        parts.append(rounded_box([x[0], 0, leg], [x[1], depth - 0.04, seat + 0.19], cover, 0.06))
    wood = style.wood(rng)
    legs = four_legs(2 * half - 0.14, depth - 0.16, splayed(leg + 0.02, 0.022, 0.02, wood))
    parts += [mesh.moved(0, depth / 2, 0) for mesh in legs]
    return finished("armchair", "club", parts, [_seat_support(inner, 0, depth - 0.48, seat)])


def _wing(rng: Rng, style: Style) -> Piece:
    inner, depth, back = float(rng.uniform(0.5, 0.58)), float(rng.uniform(0.76, 0.84)), float(rng.uniform(1.02, 1.14))
    seat, half = 0.46, inner / 2 + 0.1
    cover, wood = _upholstery(rng, style, 0.3), style.wood(rng)
    parts = [
        rounded_box([-inner / 2, 0.02, 0.2], [inner / 2, depth - 0.1, seat - 0.12], cover, 0.02, 1),
        rounded_box([-inner / 2 + 0.003, -0.03, seat - 0.13], [inner / 2 - 0.003, depth - 0.13, seat], cover, 0.06),
        arched(-half + 0.02, half - 0.02, depth - 0.15, depth, 0.2, back - 0.05, 0.05, cover),
    ]
    for side in (-1, 1):
        x = side * (inner / 2 + 0.05)
        parts += [
            rounded_box([x - 0.05, 0.04, 0.2], [x + 0.05, depth - 0.08, 0.62], cover, 0.03, 1),
            bar((x, 0.02, 0.62), (x, depth - 0.08, 0.62), 0.065, cover, corner=3),
            rounded_box([x - 0.035, depth - 0.36, 0.6], [x + 0.035, depth - 0.06, back - 0.06], cover, 0.035),
        ]
    legs = four_legs(2 * half - 0.1, depth - 0.12, turned_leg(0.21, 0.028, wood))
    parts += [mesh.moved(0, depth / 2, 0) for mesh in legs]
    return finished("armchair", "wing", parts, [_seat_support(inner, 0, depth - 0.2, seat, 0.4)])


def _lounge(rng: Rng, style: Style) -> Piece:
    width, depth, back = float(rng.uniform(0.64, 0.72)), float(rng.uniform(0.76, 0.84)), float(rng.uniform(0.8, 0.95))
    wood, cover, half = style.wood(rng), style.fabric(rng), width / 2
    seat = rounded_box([-half + 0.05, -0.03, 0], [half - 0.05, 0.56, 0.12], cover, 0.04).turned(-0.1, "x")
    rest = rounded_box([-half + 0.05, -0.06, 0], [half - 0.05, 0.06, back - 0.32], cover, 0.05).turned(-0.3, "x")
    parts = [seat.moved(0, 0.06, 0.32), rest.moved(0, 0.56, 0.36)]
    lean = (back - 0.3) * math.sin(0.3)
    for side in (-1, 1):
        x = side * (half - 0.02)
        parts += [
            bar((x, 0.02, 0), (x, 0.1, 0.57), 0.016, wood, 0.02),
            bar((x, depth - 0.1, 0), (x, depth - 0.28, 0.57), 0.016, wood, 0.02),
            rounded_box([x - 0.035, -0.02, 0.56], [x + 0.035, depth - 0.2, 0.59], wood, 0.015, 1),
            bar((x, 0.06, 0.33), (x, depth - 0.22, 0.27), 0.02, wood),
            bar((x - side * 0.05, 0.58, 0.26), (x - side * 0.05, 0.64 + lean, back - 0.03), 0.016, wood),
        ]
    parts += [
        bar((-half + 0.02, 0.08, 0.32), (half - 0.02, 0.08, 0.32), 0.018, wood),
        bar((-half + 0.02, 0.58, 0.27), (half - 0.02, 0.58, 0.27), 0.018, wood),
    ]
    return finished("armchair", "lounge", parts)


def _tub(rng: Rng, style: Style) -> Piece:
    radius, seat, back = float(rng.uniform(0.36, 0.42)), 0.43, float(rng.uniform(0.7, 0.8))
    cover, leg = _upholstery(rng, style, 0.3), float(rng.uniform(0.1, 0.18))
    wood, inner = style.wood(rng), radius - 0.11
    angle = np.radians(np.linspace(-58, 238, 25))
    drop = np.clip(np.sin(angle), -0.6, 1)
    top = seat + 0.16 + (back - seat - 0.16) * np.clip((drop + 0.6) / 1.5, 0, 1) ** 1.2
    section = [
        (radius, 0.0),
        (radius + 0.01, 0.8),
        (radius - 0.03, 1.0),
        (inner + 0.03, 1.0),
        (inner, 0.8),
        (inner, 0.0),
    ]
    rings = [
        np.array([(r * math.cos(a), r * math.sin(a), leg + (t - leg) * h) for r, h in section])
        for a, t in zip(angle, top, strict=True)
    ]
    parts = [
        sweep(rings, cover),
        disc(0, 0, inner + 0.02, leg, seat - 0.12, cover),
        solid(
            [
                oval(0, -0.02, inner + d, inner + d, h, 6)
                for d, h in ((-0.04, 0.3), (0.0, 0.33), (0.0, 0.4), (-0.05, seat))
            ],
            cover,
        ),
        *four_legs(radius * 1.1, radius * 1.1, splayed(leg + 0.02, 0.02, 0.03, wood)),
    ]
    return finished("armchair", "tub", parts, [Support(-0.18, -0.15, 0.18, 0.17, seat, 0.6)])


@piece("bench", "plank", "upholstered", "chest", "backed")
def bench(rng: Rng, style: Style, variant: str) -> Piece:
    """A seat for several without arms, or with a back."""
    width, depth, seat = float(rng.uniform(0.95, 1.35)), float(rng.uniform(0.34, 0.42)), float(rng.uniform(0.43, 0.47))
    x, y, wood = width / 2, depth / 2, style.wood(rng)
    top = board([-x, -y, seat - 0.035], [x, y, seat], wood)
    support = Support(-x + 0.03, -y + 0.03, x - 0.03, y - 0.03, seat, 0.8)
    if variant == "plank":
        ends = [
            board([e - 0.02, -y + 0.03, 0], [e + 0.02, y - 0.03, seat - 0.035], wood) for e in (-x + 0.14, x - 0.14)
        ]
        rail = board([-x + 0.14, -0.015, seat - 0.14], [x - 0.14, 0.015, seat - 0.06], wood)
        return finished("bench", variant, [top, *ends, rail], [support])
    if variant == "upholstered":
        metal, cover = style.metal(rng), _upholstery(rng, style, 0.4)
        pad = rounded_box([-x, -y, seat - 0.11], [x, y, seat], cover, 0.045)
        frames = []
        for e in (-x + 0.15, x - 0.15):
            frames += [
                bar((e, -y + 0.03, 0), (e, y - 0.03, seat - 0.1), 0.014, metal),
                bar((e, y - 0.03, 0), (e, -y + 0.03, seat - 0.1), 0.014, metal),
            ]
        rail = bar((-x + 0.15, 0, (seat - 0.1) / 2), (x - 0.15, 0, (seat - 0.1) / 2), 0.012, metal)
        return finished("bench", variant, [pad, *frames, rail], [support])
    if variant == "chest":
        paint = style.painted(rng)
        parts = [board([-x + 0.015, -y + 0.015, 0.04], [x - 0.015, y, seat - 0.035], paint), top]
        parts += drawers((-x + 0.03, 0.07), (x - 0.03, seat - 0.05), -y, 1, 3, paint, style.metal(rng), "cup", True)
        parts.append(box([-x + 0.04, -y + 0.05, 0], [x - 0.04, y - 0.02, 0.041], wood, skip="Z"))
        parts.append(
            rounded_box(
                [-x + 0.01, -y + 0.01, seat - 0.002], [x - 0.01, y - 0.01, seat + 0.06], style.fabric(rng), 0.028
            )
        )
        return finished("bench", variant, parts, [replace(support, z=seat + 0.06)])
    back = float(rng.uniform(0.82, 0.95))
    slats = np.linspace(-x + 0.09, x - 0.09, int(width / 0.11))
    parts = [top, board([-x, y - 0.03, back - 0.08], [x, y + 0.005, back], wood)]
    parts += [board([e - 0.025, y - 0.02, seat - 0.02], [e + 0.025, y, back - 0.08], wood) for e in slats]
    for e in (-x + 0.025, x - 0.025):
        parts += [
            board([e - 0.025, -y + 0.01, 0], [e + 0.025, -y + 0.06, seat + 0.2], wood),
            board([e - 0.025, y - 0.05, 0], [e + 0.025, y, back - 0.08], wood),
            board([e - 0.035, -y - 0.02, seat + 0.2], [e + 0.035, y, seat + 0.23], wood),
        ]
    parts.append(board([-x + 0.05, -y + 0.02, seat - 0.12], [x - 0.05, -y + 0.045, seat - 0.035], wood))
    return finished("bench", variant, parts, [replace(support, x0=-x + 0.07, x1=x - 0.07, y1=y - 0.05, clearance=0.19)])
