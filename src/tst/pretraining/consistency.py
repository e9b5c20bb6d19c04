"""A consistency objective: the features of one place in two frames agree, those of different places do not.

Depth and poses tell which token of one frame shows the place that a token of another frame shows. Between such pairs
the contrastive loss of van den Oord et al. 2018 (InfoNCE) is taken, with the other pairs of the batch as what it must
not agree with, those nearby in space left out. As in PointContrast (Xie et al. 2020), but between images.

Shape suffixes: B batch, N tokens of a view, K pairs, D width, F frames, P partners of a frame.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tst.errors import UserError
from tst.model.fourm import Encoder
from tst.pretraining.batches import Batch, BatchMaker, grid_side, pixel_name
from tst.space.space import Space
from tst.tokenizers.views import FrameSource, Views

TEMPERATURE = 0.1
APART = 0.3
"""Metres within which two places may look the same."""
MOST_PAIRS = 1024
"""Of a batch."""
SAME_DEPTH = 0.05
"""Share of its distance by which a place may lie before or behind the surface that the other frame sees there."""
PARTNERS = 16
"""Other frames remembered for each frame."""
OVERLAP = (0.15, 0.95)
"""Share of a frame's places that a partner must see: less gives few pairs, more is the same picture."""
CANDIDATES = 256
"""Frames taken from the nearest places that are looked through for partners."""
PROBES = 12
"""Places along one side of a frame that decide on its partners."""


class Geometry:
    """Where the tokens of views are in space, and which frames see the same places.

    Args:
        frames: of the Space, with depth.
        views: their crops.
        tokens: along one side of a view.
        partners: numbers of the frames that may be partners; None: all.

    Raises:
        UserError: the Space has no depth or no poses, or no two frames see the same places.
    """

    def __init__(self, frames: FrameSource, views: Views, tokens: int, partners: Tensor | None = None) -> None:
        space = frames.space
        if "depth" not in frames.cached:
            raise UserError(f"{space.path}: consistency needs depth, which it lacks. Set --consistency 0.")
        self.frames, self.views, self.tokens = frames, views, tokens
        self.poses_F44, self.camera_F4, self.usable_F = _cameras(space)
        self.depth = torch.from_numpy(np.asarray(frames.cached["depth"].array).astype(np.int32))
        self.sizes_F2 = torch.from_numpy(frames.cached["depth"].extents.astype(np.int64))
        self.partners_FP = self._partners(torch.arange(len(frames)) if partners is None else partners)
        if not (self.partners_FP >= 0).any():
            raise UserError(
                f"{space.path}: no two of its frames with poses and depth see the same places. Set --consistency 0."
            )

    def positions(self, frames_B: Tensor, views_B: Tensor) -> Tensor:
        """Centres of the tokens of views as fractions of the frame, (B, N, 2): row, column."""
        steps = (torch.arange(self.tokens) + 0.5) / self.tokens
        grid_N2 = torch.cartesian_prod(steps, steps)
        boxes_B4 = self.views.boxes_NV4[frames_B, views_B]
        flip_B1 = self.views.flip_NV[frames_B, views_B][:, None]
        column_BN = torch.where(flip_B1, 1 - grid_N2[:, 1], grid_N2[:, 1])
        row_BN = grid_N2[:, 0].expand_as(column_BN)
        return torch.stack(
            [boxes_B4[:, :1] + row_BN * boxes_B4[:, 2:3], boxes_B4[:, 1:2] + column_BN * boxes_B4[:, 3:]], -1
        )

    def places(self, frames_B: Tensor, at_BN2: Tensor) -> tuple[Tensor, Tensor]:
        """Where positions of frames are in the world, (B, N, 3) metres, and where that is known, (B, N) bool."""
        depth_BN = self._depth_at(frames_B, at_BN2)
        camera_B14 = self.camera_F4[frames_B][:, None]
        x_BN = (at_BN2[..., 1] - camera_B14[..., 2]) / camera_B14[..., 0] * depth_BN
        y_BN = (at_BN2[..., 0] - camera_B14[..., 3]) / camera_B14[..., 1] * depth_BN
        pose_B44 = self.poses_F44[frames_B]
        points_BN3 = torch.stack([x_BN, y_BN, depth_BN], -1) @ pose_B44[:, :3, :3].mT + pose_B44[:, None, :3, 3]
        return points_BN3, (depth_BN > 0) & self.usable_F[frames_B][:, None]

    def seen_at(self, frames_B: Tensor, points_BN3: Tensor) -> tuple[Tensor, Tensor]:
        """Where frames see places: positions (B, N, 2), and whether they do, (B, N) bool, nothing being before them."""
        pose_B44 = self.poses_F44[frames_B]
        local_BN3 = (points_BN3 - pose_B44[:, None, :3, 3]) @ pose_B44[:, :3, :3]
        z_BN = local_BN3[..., 2].clamp(min=1e-6)
        camera_B14 = self.camera_F4[frames_B][:, None]
        column_BN = local_BN3[..., 0] / z_BN * camera_B14[..., 0] + camera_B14[..., 2]
        row_BN = local_BN3[..., 1] / z_BN * camera_B14[..., 1] + camera_B14[..., 3]
        at_BN2 = torch.stack([row_BN, column_BN], -1)
        inside_BN = (local_BN3[..., 2] > 0.1) & (at_BN2 >= 0).all(-1) & (at_BN2 < 1).all(-1)
        surface_BN = self._depth_at(frames_B, at_BN2.clamp(0, 1 - 1e-6))
        near_BN = (surface_BN - z_BN).abs() < SAME_DEPTH * z_BN
        return at_BN2, inside_BN & near_BN & (surface_BN > 0) & self.usable_F[frames_B][:, None]

    def pairs(
        self, frames_B: Tensor, views_B: Tensor, partners_B: Tensor, partner_views_B: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens of two views of each row that show the same place.

        Returns:
            (K,) indices into the tokens (B * N) of the views and (K,) into those of the partners; (K, 3) the places.
        """
        points_BN3, known_BN = self.places(frames_B, self.positions(frames_B, views_B))
        at_BN2, seen_BN = self.seen_at(partners_B, points_BN3)
        boxes_B14 = self.views.boxes_NV4[partners_B, partner_views_B][:, None]
        row_BN = (at_BN2[..., 0] - boxes_B14[..., 0]) / boxes_B14[..., 2]
        column_BN = (at_BN2[..., 1] - boxes_B14[..., 1]) / boxes_B14[..., 3]
        column_BN = torch.where(self.views.flip_NV[partners_B, partner_views_B][:, None], 1 - column_BN, column_BN)
        inside_BN = (row_BN >= 0) & (row_BN < 1) & (column_BN >= 0) & (column_BN < 1)
        count = self.tokens
        index_BN = (row_BN * count).long().clamp(0, count - 1) * count + (column_BN * count).long().clamp(0, count - 1)
        index_BN = index_BN + torch.arange(len(frames_B))[:, None] * count**2
        found_K = (known_BN & seen_BN & inside_BN).flatten().nonzero()[:, 0]
        return found_K, index_BN.flatten()[found_K], points_BN3.flatten(0, 1)[found_K]

    def draw_partners(self, frames_B: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A random partner of each frame and a random view of it, (B,) each; a frame without any is its own."""
        listed_BP = self.partners_FP[frames_B]
        weight_BP = (listed_BP >= 0).float()
        alone_B = weight_BP.sum(1) == 0
        weight_BP[alone_B] = 1.0
        place_B1 = torch.multinomial(weight_BP, 1, generator=generator)
        partners_B = torch.where(alone_B, frames_B, listed_BP.gather(1, place_B1)[:, 0])
        return partners_B, torch.randint(self.views.flip_NV.shape[1], (len(frames_B),), generator=generator)

    def _depth_at(self, frames_B: Tensor, at_BN2: Tensor) -> Tensor:
        """Depth in metres of the pixel at each position, (B, N) float32; 0 where unknown."""
        sizes_B12 = self.sizes_F2[frames_B][:, None]
        row_BN, column_BN = ((at_BN2 * sizes_B12).long().clamp(min=0).minimum(sizes_B12 - 1)).unbind(-1)
        return self.depth[frames_B[:, None], row_BN, column_BN].float() / 1000

    def _partners(self, allowed: Tensor) -> Tensor:
        """(F, P) numbers of frames that see part of what each frame sees, -1 where there are fewer."""
        count = len(self.poses_F44)
        steps = (torch.arange(PROBES) + 0.5) / PROBES
        probes_N2 = torch.cartesian_prod(steps, steps)
        points_FN3, known_FN = self.places(torch.arange(count), probes_N2.expand(count, -1, -1))
        centres_F3 = self.poses_F44[:, :3, 3]
        result = torch.full((count, PARTNERS), -1, dtype=torch.int64)
        for frame in range(count):
            points_N3 = points_FN3[frame][known_FN[frame]]
            if not len(points_N3):
                continue
            distance_C = (centres_F3[allowed] - centres_F3[frame]).norm(dim=1)
            near_C = allowed[distance_C.topk(min(CANDIDATES, len(allowed)), largest=False).indices]
            _, seen_CN = self.seen_at(near_C, points_N3.expand(len(near_C), -1, -1))
            share_C = seen_CN.float().mean(1)
            fit = near_C[(share_C >= OVERLAP[0]) & (share_C <= OVERLAP[1]) & (near_C != frame)].sort().values
            spread = fit[torch.linspace(0, max(len(fit) - 1, 0), min(PARTNERS, len(fit))).round().long()]
            result[frame, : len(spread)] = spread
        return result


def _cameras(space: Space) -> tuple[Tensor, Tensor, Tensor]:
    """Poses (F, 4, 4), from the first one's place; fx, fy, cx, cy as fractions of the frame (F, 4); which are known."""
    poses, cameras, usable = [], [], []
    for walk, row in space.frames():
        pose, camera = walk.pose(row), walk.camera(row)
        usable.append(pose is not None and camera is not None)
        poses.append(np.eye(4) if pose is None else pose)
        cameras.append(
            (1.0, 1.0, 0.5, 0.5)
            if camera is None
            else (
                camera.fx / camera.width,
                camera.fy / camera.height,
                camera.cx / camera.width,
                camera.cy / camera.height,
            )
        )
    if not any(usable):
        raise UserError(f"{space.path}: consistency needs poses and intrinsics, which it lacks. Set --consistency 0.")
    stacked = np.array(poses)
    stacked[:, :3, 3] -= stacked[int(np.argmax(usable)), :3, 3]
    return torch.from_numpy(stacked).float(), torch.tensor(cameras), torch.tensor(usable)


class Projector(nn.Module):
    """Features to the space in which they are compared: a small network that is thrown away."""

    def __init__(self, width: int, out: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, out))

    def forward(self, x_KD: Tensor) -> Tensor:
        """(K, D) to unit vectors (K, out) float32."""
        return F.normalize(self.layers(x_KD).float(), dim=-1)


class WithProjector(nn.Module):
    """A model and the projector that is trained beside it; called as the model."""

    def __init__(self, model: nn.Module, width: int) -> None:
        super().__init__()
        self.model, self.projector = model, Projector(width)

    def forward(self, *arguments: Any, **options: Any) -> Any:
        """The model's."""
        return self.model(*arguments, **options)


class Consistency:
    """The objective for the batches of a maker whose first source is the Space.

    Args:
        maker: of the batches.
        projector: of features.
    """

    def __init__(self, maker: BatchMaker, projector: Projector) -> None:
        source = maker.sources[0]
        self.maker, self.projector = maker, projector
        # Those held back from the batches are no partners either.
        self.geometry = Geometry(source.rgb, source.views, grid_side(maker.resolution), source.frames)

    def loss(self, encoder: Encoder, features_BND: Tensor, batch: Batch, generator: torch.Generator) -> Tensor:
        """Contrast (scalar) between the Space's samples of a batch and a partner of each.

        Args:
            encoder: gives the partners' features.
            features_BND: of the whole images of the batch.
            batch: from the maker.
            generator: draws partners, their views and colours.
        """
        assert batch.drawn is not None
        frames_B, views_B = batch.drawn
        partners_B, partner_views_B = self.geometry.draw_partners(frames_B, generator)
        pixels = self.maker.pixels(partners_B, partner_views_B, generator)
        one_K, other_K, points_K3 = self.geometry.pairs(frames_B, views_B, partners_B, partner_views_B)
        others_BND = encoder.encode({pixel_name(self.maker.resolution): pixels})
        if not len(one_K):
            return others_BND.sum() * 0.0
        chosen = torch.randperm(len(one_K), generator=generator)[:MOST_PAIRS]
        one_KD, other_KD = (
            self.projector(features.flatten(0, 1)[index[chosen].to(features.device)])
            for features, index in ((features_BND[: len(frames_B)], one_K), (others_BND, other_K))
        )
        return contrast(one_KD, other_KD, points_K3[chosen], TEMPERATURE, APART)


def contrast(one_KD: Tensor, other_KD: Tensor, points_K3: Tensor, temperature: float, apart: float) -> Tensor:
    """InfoNCE both ways (scalar): row k of one belongs to row k of the other.

    Args:
        one_KD, other_KD: unit vectors.
        points_K3: where the pairs are, metres; pairs nearer than `apart` to each other are not held against each other.
        temperature: of the softmax.
    """
    logits_KK = one_KD @ other_KD.T / temperature
    near_KK = torch.cdist(points_K3, points_K3) < apart
    near_KK.fill_diagonal_(False)
    logits_KK = logits_KK.masked_fill(near_KK.to(logits_KK.device), -torch.inf)
    target_K = torch.arange(len(logits_KK), device=logits_KK.device)
    return (F.cross_entropy(logits_KK, target_K) + F.cross_entropy(logits_KK.T, target_K)) / 2
