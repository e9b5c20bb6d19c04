"""AI2-THOR scenes and ProcTHOR houses, rendered live by the simulator's Python package `ai2thor`.

What is known of the simulator, and from where: docs/captures/ai2thor.md. Unity's world is left-handed with y up; here z
changes its sign. Frames are rendered when they are wanted, one after another.
"""

import contextlib
import gzip
import importlib
import json
import math
import os
import sys
import weakref
import zlib
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np

from tst.decoding.dropping import refuse_if_most
from tst.errors import UserError
from tst.readers.base import Dropped, Frame, Recording, Values
from tst.space import normal_maps
from tst.space.camera import Camera

_SIM_OBJECTS = """
Apple AppleSliced Tomato TomatoSliced Bread BreadSliced Sink Pot Pan Knife Fork Spoon Bowl Toaster CoffeeMachine
Microwave StoveBurner Fridge Cabinet Egg Chair Lettuce Potato Mug Plate DiningTable CounterTop GarbageCan Omelette
EggShell EggCracked StoveKnob Container Cup ButterKnife PotatoSliced MugFilled BowlFilled Statue LettuceSliced
ContainerFull BowlDirty Sandwich Television HousePlant TissueBox VacuumCleaner Painting WateringCan Laptop
RemoteControl Box Newspaper TissueBoxEmpty PaintingHanger KeyChain Dirt CellPhone CreditCard Cloth Candle Toilet
Plunger Bathtub ToiletPaper ToiletPaperHanger SoapBottle SoapBottleFilled SoapBar ShowerDoor SprayBottle ScrubBrush
ToiletPaperRoll Lamp LightSwitch Bed Book AlarmClock SportsEquipment Pen Pencil Blinds Mirror TowelHolder Towel Watch
MiscTableObject ArmChair BaseballBat BasketBall Faucet Boots Bottle DishSponge Drawer FloorLamp Kettle LaundryHamper
LaundryHamperLid Lighter Ottoman PaintingSmall PaintingMedium PaintingLarge PaintingHangerSmall PaintingHangerMedium
PaintingHangerLarge PanLid PaperTowelRoll PepperShaker PotLid SaltShaker Safe SmallMirror Sofa SoapContainer Spatula
TeddyBear TennisRacket Tissue Vase WallMirror MassObjectSpawner MassScale Footstool Shelf Dresser Desk SideTable
Pillow Bench Cart ShowerGlass DeskLamp Window BathtubBasin SinkBasin CD Curtains Poster HandTowel HandTowelHolder
Ladle WineBottle ShowerCurtain ShowerHead TVStand CoffeeTable ShelvingUnit AluminumFoil DogBed Dumbbell TableTopDecor
RoomDecor Stool GarbageBag Desktop TargetCircle Floor ScreenFrame ScreenSheet
"""
_STRUCTURE = """
Wall Ceiling LightFixture CeilingLight Stove DishWasher KitchenIsland Door WallCabinetBody OvenHood PaperClutter
SkyLightWindow Clock Rug FirePlace DecorativeSticks Doorway Doorframe
"""
CLASSES = [*_SIM_OBJECTS.split(), *_STRUCTURE.split()]
"""The simulator's classes: those of SimObjType.cs, of StructureObject.cs, and ProcTHOR's doors. They are the same for
every house, so that houses can share a Space."""
UNLABELLED = 255
LARGEST_HOUSE = 1 << 26
MOST_SAMPLES = 1_000_000
MOST_POSITIONS = 1_000_000
MOST_OBJECTS = 65535
LARGEST_SIDE = 8192
SAME_PLACE = 1e-3
"""Metres, and degrees, by which the simulator may put the camera elsewhere than it was told."""
AT_THE_HORIZON = 0.999
"""Share of the far plane from which on nothing was seen."""
UNIT = 0.1
"""How far a normal's length may be from 1."""


def recognise(source: Path) -> str | None:
    """Houses in JSON lines, or a JSON file that is named after a house."""
    name = source.name.lower()
    if name.endswith((".jsonl", ".jsonl.gz")):
        return "houses in JSON lines"
    if name.endswith(".json") and any(word in name for word in ("house", "thor", "floorplan")):
        return f"{source.name}, a house by its name"
    return None


def read(
    source: Path,
    house: int = 0,
    samples: int = 2000,
    seed: int = 0,
    width: int = 512,
    height: int = 512,
    fov: float = 90.0,
    horizon: float = 30.0,
) -> Recording:
    """Look at a house from random places that an agent can reach: RGB, depth, normals, classes and instances.

    Args:
        source: JSON of a ProcTHOR house, or {"scene": "FloorPlan1"}; or a list or JSON lines (.jsonl, .jsonl.gz) of
            them.
        house: which of several houses; the first is 0.
        samples: how many images.
        seed: for the places and directions.
        width: of the images, pixels.
        height: of the images, pixels.
        fov: horizontal field of view, degrees.
        horizon: how far the camera looks up or down at most, degrees.

    Raises:
        UserError: ai2thor is not installed, the file holds no such house, or the simulator refuses it.
    """
    _check("samples", samples, 1, MOST_SAMPLES)
    _check("width", width, 16, LARGEST_SIDE)
    _check("height", height, 16, LARGEST_SIDE)
    _check("fov", fov, 1, 170)
    _check("horizon", horizon, 0, 90)
    _check("seed", seed, 0, 2**63)
    where = f"{source}: house {house}"
    camera = Camera.from_fov(width, height, fov)
    simulator = _Simulator(_scene(source, house), camera, where)
    reachable = simulator.reachable()
    chance = np.random.default_rng(seed)
    rounds = [chance.permutation(len(reachable)) for _ in range(-(-samples // len(reachable)))]
    views = [
        _View(reachable[index], *turn)
        for index, turn in zip(
            np.concatenate(rounds)[:samples].tolist(),
            chance.uniform((0, -horizon), (360, horizon), (samples, 2)).tolist(),
            strict=True,
        )
    ]
    stands = {place: simulator.stand(place) for place in dict.fromkeys(view.place for view in views)}
    frames: list[Frame] = []
    dropped: list[Dropped] = []
    for number, view in enumerate(views):
        stand = stands[view.place]
        if isinstance(stand, str):
            dropped.append(Dropped(f"{number:06d}", None, stand))
            continue
        files = {
            modality: Values(f"{where}: {modality} {number}", partial(_load, simulator, view, stand, modality), True)
            for modality in ("rgb", "depth", "normals", "instance", "semantic")
        }
        frames.append(Frame(f"{number:06d}", files, camera, _pose(stand, view), depth_scale=1000.0))
    refuse_if_most(dropped, len(views), where)
    notes = {"house": house, "samples": f"{samples} at {len(stands)} places, seed {seed}", "classes": "AI2-THOR's own"}
    annotations = {"objects": simulator.objects}
    return Recording("ai2thor", source, frames, notes, {}, annotations, dropped, up=(0.0, 1.0, 0.0), classes=CLASSES)


class _Place(NamedTuple):
    """Where the agent stands, or a camera is, in Unity's world, metres."""

    x: float
    y: float
    z: float


class _View(NamedTuple):
    """Where the agent stands, and where it looks: degrees clockwise from Unity's z, seen from above, and downwards."""

    place: _Place
    yaw: float
    horizon: float


def _pose(camera: _Place, view: _View) -> np.ndarray:
    """(4, 4) camera-to-world, OpenCV camera axes, of Unity's camera at `camera` that looks as `view` says."""
    yaw, down = math.radians(view.yaw), math.radians(view.horizon)
    turn = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
    nod = np.array([[1, 0, 0], [0, math.cos(down), -math.sin(down)], [0, math.sin(down), math.cos(down)]])
    pose = np.eye(4)
    # Unity's camera has y up, ours y down; Unity's world is left-handed.
    pose[:3, :3] = np.diag([1.0, 1, -1]) @ turn @ nod @ np.diag([1.0, -1, 1])
    pose[:3, 3] = camera.x, camera.y, -camera.z
    return pose


class _Simulator:
    """A house in a running simulator."""

    def __init__(self, scene: str | dict[str, Any], camera: Camera, where: str):
        self._where, self._camera = where, camera
        self._seen: tuple[_View, Any] | None = None
        self._controller = self._started(scene)
        weakref.finalize(self, _stop, self._controller)
        if isinstance(scene, dict):  # a new house's agent is nowhere
            agent = (scene.get("metadata") or {}).get("agent") if isinstance(scene.get("metadata"), dict) else None
            event = self._step("TeleportFull", **(agent if isinstance(agent, dict) else {}))
            if not event.metadata["lastActionSuccess"]:
                raise self._refusal("does not place its agent", event)
        event = self._step("Pass")
        names = sorted(name for name in event.color_to_object_id.values() if "|" in name)[:MOST_OBJECTS]
        types = {item["objectId"]: item["objectType"] for item in event.metadata["objects"]}
        self._instances = {name: number for number, name in enumerate(names, 1)}
        self.objects = [{"instance": n, "id": name, "class": types.get(name)} for name, n in self._instances.items()]

    def reachable(self) -> list[_Place]:
        """Where the agent can go."""
        event = self._step("GetReachablePositions")
        found = event.metadata["actionReturn"] if event.metadata["lastActionSuccess"] else None
        try:
            places = [_place(item) for item in (found or [])[:MOST_POSITIONS]]
        except (KeyError, TypeError, ValueError):
            places = []
        if not places:
            raise self._refusal("has no place that its agent can reach", event)
        return sorted(set(places))

    def stand(self, place: _Place) -> _Place | str:
        """Where the camera is while the agent stands at `place`, or why it cannot."""
        event = self._step("TeleportFull", **_told(_View(place, 0.0, 0.0)))
        if not event.metadata["lastActionSuccess"]:
            return f"its agent cannot stand there: {_line(event.metadata.get('errorMessage'))}"
        try:
            camera = _place(event.metadata["cameraPosition"])
        except (KeyError, TypeError, ValueError):
            camera = _Place(math.nan, math.nan, math.nan)
        return camera if all(map(math.isfinite, camera)) else "the simulator does not tell where its camera is"

    def look(self, view: _View, stand: _Place) -> Any:
        """What is seen: the simulator's event.

        Raises:
            UserError: the camera does not come to be where it was told to be.
        """
        if self._seen is None or self._seen[0] != view:
            self._seen = None
            event = self._step("TeleportFull", **_told(view))
            if not event.metadata["lastActionSuccess"]:
                raise self._refusal("does not place its agent", event)
            agent, camera = event.metadata["agent"], _place(event.metadata["cameraPosition"])
            apart = max(abs(a - b) for a, b in zip(camera, stand, strict=True))
            turned = max(_angle(agent["rotation"]["y"], view.yaw), _angle(agent["cameraHorizon"], view.horizon))
            if not (apart < SAME_PLACE and turned < 10 * SAME_PLACE):
                raise UserError(
                    f"{self._where}: the camera is {apart:.3g} m and {turned:.3g} degrees from where it was told to "
                    "be. Read with another --seed."
                )
            self._seen = view, event
        return self._seen[1]

    def image(self, event: Any, name: str, channels: int) -> np.ndarray:
        """One of an event's images.

        Raises:
            UserError: it is missing or of another size.
        """
        image = getattr(event, name, None)
        size = (self._camera.height, self._camera.width)
        if not isinstance(image, np.ndarray) or image.shape[:2] != size or (image.ndim == 3) != (channels > 1):
            shape = image.shape if isinstance(image, np.ndarray) else None
            raise UserError(f"{self._where}: its {name} is {shape}, not {size}. Update ai2thor.")
        return image

    def depth(self, event: Any) -> np.ndarray:
        """Metres along z, (H, W) float32; 0 where nothing is nearer than the far plane.

        The simulator's shader multiplies depth as a share of the far plane by far - near, so that its metres are a
        little short: https://github.com/allenai/ai2thor/issues/1301.
        """
        near, far = float(self._controller.server.camera_near_plane), float(self._controller.server.camera_far_plane)
        if not 0 <= near < far < math.inf:
            raise UserError(f"{self._where}: the simulator's camera sees from {near:g} to {far:g} m. Update ai2thor.")
        metres = self.image(event, "depth_frame", 1) * np.float32(far / (far - near))
        return np.where(metres < AT_THE_HORIZON * far, metres, np.float32(0))

    def labels(self, event: Any) -> np.ndarray:
        """Class of each pixel, (H, W) uint8; UNLABELLED where it has none."""
        numbers = {name: number for number, name in enumerate(CLASSES)}
        return self._numbered(event, "semantic_segmentation_frame", numbers, UNLABELLED).astype(np.uint8)

    def instances(self, event: Any) -> np.ndarray:
        """Number of each pixel's object, (H, W) uint16; 0 where there is none."""
        return self._numbered(event, "instance_segmentation_frame", self._instances, 0).astype(np.uint16)

    def _numbered(self, event: Any, name: str, numbers: dict[str, int], otherwise: int) -> np.ndarray:
        colours = self.image(event, name, 3).astype(np.uint32)
        packed = colours[..., 0] << 16 | colours[..., 1] << 8 | colours[..., 2]
        known = {r << 16 | g << 8 | b: numbers.get(text) for (r, g, b), text in event.color_to_object_id.items()}
        found, index = np.unique(packed, return_inverse=True)
        values = [known.get(int(colour)) for colour in found]
        return np.array([otherwise if value is None else value for value in values])[index].reshape(packed.shape)

    def _started(self, scene: str | dict[str, Any]) -> Any:
        try:
            start = importlib.import_module("ai2thor.controller").Controller
        except ImportError:
            raise UserError(
                "ai2thor is not installed. Run `pip install ai2thor`; its first start downloads the simulator."
            ) from None
        options: dict[str, Any] = {}
        if sys.platform == "linux" and "DISPLAY" not in os.environ:
            options["platform"] = importlib.import_module("ai2thor.platform").CloudRendering
        camera = self._camera
        up_and_down = math.degrees(2 * math.atan(camera.height / 2 / camera.fy))
        try:
            return start(
                scene=scene,
                width=camera.width,
                height=camera.height,
                fieldOfView=up_and_down,
                snapToGrid=False,
                renderDepthImage=True,
                renderNormalsImage=True,
                renderInstanceSegmentation=True,
                renderSemanticSegmentation=True,
                **options,
            )
        except Exception as error:  # another program, which fails in ways of its own
            raise self._failure(error) from None

    def _step(self, action: str, **arguments: Any) -> Any:
        try:
            return self._controller.step(action=action, **arguments)
        except Exception as error:  # as above
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> UserError:
        return UserError(f"{self._where}: the simulator fails ({_line(error)}). Check the house, or update ai2thor.")

    def _refusal(self, what: str, event: Any) -> UserError:
        return UserError(f"{self._where}: {what} ({_line(event.metadata.get('errorMessage'))}). Choose another house.")


def _load(simulator: _Simulator, view: _View, stand: _Place, modality: str, _: int | None) -> np.ndarray:
    event = simulator.look(view, stand)
    if modality == "rgb":
        return np.ascontiguousarray(simulator.image(event, "frame", 3)[..., :3])
    if modality == "depth":
        return simulator.depth(event)
    if modality == "normals":
        # Of OpenGL's camera axes, in whose y and z signs ours differ; blue is towards the camera in both.
        normals = simulator.image(event, "normals_frame", 3)[..., :3].astype(np.float32) / 127.5 - 1
        known = np.abs(np.linalg.norm(normals, axis=-1) - 1) < UNIT
        return normal_maps.encode(np.where(known[..., None], normals * (1, -1, -1), 0))
    return simulator.instances(event) if modality == "instance" else simulator.labels(event)


def _told(view: _View) -> dict[str, Any]:
    """A view as the arguments of TeleportFull."""
    return {
        "position": view.place._asdict(),
        "rotation": {"x": 0.0, "y": view.yaw, "z": 0.0},
        "horizon": view.horizon,
        "standing": True,
    }


def _place(values: dict[str, float]) -> _Place:
    return _Place(float(values["x"]), float(values["y"]), float(values["z"]))


def _angle(one: float, other: float) -> float:
    """Degrees between two directions."""
    return abs((one - other + 180) % 360 - 180)


def _line(message: object) -> str:
    return " ".join(str(message or "no reason told").split())[:300]


def _stop(controller: Any) -> None:
    with contextlib.suppress(Exception):  # at the end of the program it stops itself, too
        controller.stop()


def _check(option: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise UserError(f"--{option}: {value} is not from {least} to {most:g}.")


def _scene(source: Path, number: int) -> str | dict[str, Any]:
    """The house, or the name of the scene, that a file holds.

    Raises:
        UserError: it does not.
    """
    try:
        if source.name.lower().endswith((".jsonl", ".jsonl.gz")):
            with gzip.open(source) if source.name.lower().endswith(".gz") else source.open("rb") as file:
                value = json.loads(_line_of(cast(BinaryIO, file), number, source))
        else:
            if source.stat().st_size > LARGEST_HOUSE:
                raise UserError(f"{source}: is larger than any house ({LARGEST_HOUSE} bytes). Check it.")
            value = json.loads(source.read_bytes())
    except UserError:
        raise
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise UserError(f"{source}: not valid JSON ({_line(error)}). Restore the file from its source.") from None
    if isinstance(value, list):
        if not 0 <= number < len(value):
            raise UserError(f"--house: {source} has no house {number}; it holds {len(value)}.")
        value = value[number]
    if isinstance(value, dict) and isinstance(value.get("scene"), str):
        return value["scene"]
    if not isinstance(value, dict) or not isinstance(value.get("rooms"), list):
        raise UserError(f'{source}: house {number} has no "rooms" and no "scene". Give a ProcTHOR house.')
    return value


def _line_of(file: BinaryIO, number: int, source: Path) -> bytes:
    """Line `number`, unless it is absurdly long."""
    for count in range(max(number, 0) + 1):
        line = file.readline(LARGEST_HOUSE + 1)
        if len(line) > LARGEST_HOUSE:
            raise UserError(f"{source}: line {count + 1} is longer than any house ({LARGEST_HOUSE} bytes). Check it.")
        if not line.strip() or number < 0:
            raise UserError(f"--house: {source} has no house {number}; it holds {count}.")
    return line
