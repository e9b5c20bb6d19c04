"""The tree of coordinate frames in tf: where each frame is in its parent, fixed or moving.

A transform takes points from the child's axes to the parent's (REP 105), so that of a camera in the world is its pose.
"""

from array import array

import numpy as np
from scipy.spatial.transform import Rotation

from tst.errors import UserError
from tst.space import poses

LONGEST_CHAIN = 64
UNIT = 0.01
"""How far a quaternion's length may be from 1."""


class Transforms:
    """Transforms as they were recorded.

    Attributes:
        where: for messages.
        invalid: how many were left out since they are no rigid transforms.
    """

    def __init__(self, where: str):
        self.where, self.invalid = where, 0
        self._fixed: dict[str, tuple[str, np.ndarray]] = {}
        self._moving: dict[str, dict[str, array[float]]] = {}
        self._paths: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def add(self, parent: str, child: str, time: float, values: tuple[float, ...]) -> None:
        """A moving transform: x, y, z in metres and a quaternion x, y, z, w."""
        self._moving.setdefault(child, {}).setdefault(parent, array("d")).extend((time, *values))

    def fix(self, parent: str, child: str, values: tuple[float, ...]) -> None:
        """A transform that stays."""
        times, matrices = self._path(array("d", (0.0, *values)))
        if len(times):
            self._fixed[child] = (parent, matrices[0])

    def fixed_only(self) -> "Transforms":
        """A tree of the transforms that stay."""
        other = Transforms(self.where)
        other._fixed = dict(self._fixed)
        return other

    def ancestors(self, frame: str) -> list[str]:
        """The frame, its parent, and so on up to the root.

        Raises:
            UserError: a frame has two parents, or is its own ancestor.
        """
        chain = [frame]
        while (parent := self._parent(chain[-1])) is not None:
            if parent in chain or len(chain) > LONGEST_CHAIN:
                raise UserError(f"{self.where}: tf goes round in a circle at {parent!r}. Give --pose-topic.")
            chain.append(parent)
        return chain

    def moves(self, frame: str, world: str) -> bool:
        """Whether anything between `frame` and its ancestor `world` moves."""
        chain = self.ancestors(frame)
        return any(child in self._moving for child in chain[: chain.index(world)])

    def fixed(self, source: str, target: str) -> np.ndarray | None:
        """(4, 4) from the axes of `source` to those of `target`, metres, if they stay where they are to each other."""
        ups, downs = self._fixed_ancestors(source), self._fixed_ancestors(target)
        for frame, matrix in ups.items():
            if frame in downs:
                return poses.inverse(downs[frame]) @ matrix
        return None

    def poses(self, frame: str, world: str, at: np.ndarray, largest_gap: float) -> tuple[np.ndarray, np.ndarray]:
        """Where `frame` is in its ancestor `world` at some moments; see `poses.interpolated`.

        Returns:
            (M, 4, 4) poses and (M,) bool: whether each is known.
        """
        result, known = np.tile(np.eye(4), (len(at), 1, 1)), np.ones(len(at), bool)
        chain = self.ancestors(frame)
        for child in chain[: chain.index(world)]:
            if child in self._moving:
                if child not in self._paths:
                    (samples,) = self._moving[child].values()
                    self._paths[child] = self._path(samples)
                placed, there = poses.interpolated(*self._paths[child], at, largest_gap)
                result, known = placed @ result, known & there
            else:
                result = self._fixed[child][1] @ result
        return result, known

    def _parent(self, frame: str) -> str | None:
        if frame in self._moving:
            parents = list(self._moving[frame])
            if len(parents) > 1:
                named = ", ".join(sorted(map(repr, parents)))
                raise UserError(f"{self.where}: {frame!r} has several parents in tf: {named}. Give --pose-topic.")
            return parents[0]
        return self._fixed[frame][0] if frame in self._fixed else None

    def _fixed_ancestors(self, frame: str) -> dict[str, np.ndarray]:
        result = {frame: np.eye(4)}
        while frame in self._fixed and frame not in self._moving and len(result) <= LONGEST_CHAIN:
            parent, matrix = self._fixed[frame]
            if parent in result:
                break
            result[parent] = matrix @ result[frame]
            frame = parent
        return result

    def _path(self, samples: "array[float]") -> tuple[np.ndarray, np.ndarray]:
        """Times (N,), ascending, and matrices (N, 4, 4); what is no rigid transform is left out and counted."""
        rows = np.frombuffer(samples, np.float64).reshape(-1, 8)
        with np.errstate(over="ignore", invalid="ignore"):
            unit = np.abs(np.linalg.norm(rows[:, 4:], axis=1) - 1) < UNIT
            valid = unit & (np.abs(rows[:, 1:4]) < poses.FURTHEST).all(1)
        self.invalid += int((~valid).sum())
        rows = rows[valid]
        times, first = np.unique(rows[:, 0], return_index=True)
        matrices = np.tile(np.eye(4), (len(times), 1, 1))
        if len(times):
            matrices[:, :3, :3] = Rotation.from_quat(rows[first, 4:]).as_matrix()
            matrices[:, :3, 3] = rows[first, 1:4]
        return times, matrices
