"""Labelling on many machines with Ray Data: each worker loads the weights once and labels its share of the frames.

The machines must see the Space and the weights under the same paths (shared storage), and have the same tst.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning_fabric

from tst.backbones.hub import need
from tst.errors import UserError
from tst.labellers import LABELLERS
from tst.labellers.base import Request
from tst.labellers.label import Frame, LabelConfig, label_frames, new_batches
from tst.loop import make_fabric
from tst.space.space import Space

SHARE = 64
"""Most frames that are given out at once; a worker that fails loses no more than these."""


class Worker:
    """One process of the cluster."""

    def __init__(self, space: Path, request: Request, config: LabelConfig) -> None:
        self.walks = Space.open(space).walks
        self.fabric: lightning_fabric.Fabric = make_fabric(precision=config.precision)
        self.labeller = LABELLERS[request.kind].load(request).to(self.fabric.device)
        self.batches = new_batches(self.fabric, config)

    def __call__(self, share: dict[str, Any]) -> dict[str, Any]:
        """Label the frames of a share; returns the size of each file."""
        frames = [(self.walks[str(walk)], int(row)) for walk, row in zip(share["walk"], share["row"], strict=True)]
        return {"bytes": list(label_frames(self.labeller, frames, self.fabric, self.batches))}


def label_on_ray(
    space: Space, request: Request, frames: Sequence[Frame], config: LabelConfig, *, address: str, workers: int
) -> Iterator[int]:
    """Label frames on a cluster, and yield the size in bytes of each file once its share is done.

    Args:
        address: of a running cluster (`auto`, `HOST:PORT`, `ray://...`), or `local` for one on this machine.
        workers: how many processes; on a cluster with GPUs each has one.

    Raises:
        UserError: Ray is not installed, or there is no cluster at the address.
    """
    if not frames:
        return
    try:
        ray = need("ray")
        need("ray.data")
    except UserError:
        raise UserError("--ray: Ray is not installed. Run `pip install 'tst[ray]'`, or leave out --ray.") from None
    own = not ray.is_initialized()
    if own:
        where: dict[str, Any] = {"num_cpus": workers} if address == "local" else {"address": address}
        try:
            ray.init(**where, log_to_driver=False, logging_level=logging.WARNING, include_dashboard=False)
        except Exception as error:  # of any kind, also plain ones
            reason = str(error).strip().partition("\n")[0][:100]
            raise UserError(f"--ray {address}: no cluster there ({reason}). Start one, or leave out --ray.") from None
    try:
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # it tells of every plan
        ray.data.DataContext.get_current().enable_progress_bars = False
        rows = [{"walk": walk.name, "row": index} for walk, index in frames]
        gpus = 1 if ray.cluster_resources().get("GPU", 0) >= workers else 0
        share = min(SHARE, -(-len(rows) // workers))
        labelled = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // share)).map_batches(
            Worker,
            fn_constructor_args=(space.path.resolve(), _absolute(request), config),
            batch_size=share,
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
            num_gpus=gpus,
        )
        try:
            for row in labelled.iter_rows():
                yield int(row["bytes"])
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            raise cause if isinstance(cause, UserError) else error from None
    finally:
        if own:
            ray.shutdown()


def _absolute(request: Request) -> Request:
    """Workers have a working folder of their own."""
    if request.path is None or not Path(request.path).expanduser().exists():
        return request
    path = str(Path(request.path).expanduser().resolve())
    return Request(request.kind, request.name, path, request.resolution, request.download)
