"""A stand-in for the package `ai2thor`: a simulator whose only house is the room of captures.py.

It follows ai2thor 5.0.0: Unity's left-handed world (y up; the room's z with the sign changed), yaw clockwise from
above, horizon downwards, the vertical field of view, depth short by (far - near) / far, normals in OpenGL's camera
axes, and colours that stand for objects and classes. What a house's `fault` says goes wrong.
"""

import math
import sys
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from captures import look, render

NEAR, FAR = 0.1, 20.0
CAMERA_HEIGHT = 0.675  # of the agent's camera above its position
AGENT_HEIGHT = 0.9
PLACES = [(1.6, -2.2), (2.0, -2.2), (2.4, -2.2), (1.6, -2.8), (2.0, -2.8), (2.4, -2.8)]  # x, z
NORMALS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], float)  # of the room's faces
OBJECTS = ["wall_0|0|0|0", "wall_1|4|0|0", "Floor|0|0|0", "ceiling|0|2.5|0", "wall_2|0|0|0", "Mug|1|1|-5"]
KINDS = ["Wall", "Wall", "Floor", "Ceiling", "Wall", "Mug"]
COLOURS = {name: (40 + 10 * n, 200 - 20 * n, 7 * n) for n, name in enumerate([*OBJECTS, *dict.fromkeys(KINDS)])}


class Controller:
    """The calls of ai2thor.controller.Controller that are needed to look at a house."""

    started: ClassVar[list["Controller"]] = []  # for tests

    def __init__(self, scene: Any, width: int, height: int, fieldOfView: float, **options: Any):
        self.house = scene if isinstance(scene, dict) else {"metadata": {"agent": {}}}
        self.fault = (self.house.get("metadata") or {}).get("fault")
        if isinstance(scene, str) and scene != "FloorPlan1":
            raise ValueError(f"\nScene '{scene}' not contained in build.\nPlease choose one of FloorPlan1")
        self.width, self.height, self.fov = width, height, fieldOfView
        self.options, self.stopped, self.renders = options, False, 0
        self.server = SimpleNamespace(camera_near_plane=NEAR, camera_far_plane=FAR)
        self.x, self.z, self.yaw, self.horizon = 2.0, -2.2, 0.0, 0.0
        self.placed = isinstance(scene, str)
        Controller.started.append(self)

    def stop(self) -> None:
        self.stopped = True

    def step(self, action: str, **arguments: Any) -> Any:
        if self.fault == "crash" and action == "GetReachablePositions":
            raise TimeoutError("Reading from AI2-THOR backend timed out\n(using 100.0s) timeout.")
        problem, result = "", None
        if action == "TeleportFull":
            problem = self._teleport(**arguments)
        elif action == "GetReachablePositions":
            if self.placed and self.fault != "nowhere":
                result = [{"x": x, "y": AGENT_HEIGHT, "z": z} for x, z in PLACES]
            else:
                problem = "The agent is out of bounds."
        return self._event(problem, result)

    def _teleport(
        self, position: Any = None, rotation: Any = None, horizon: float = 0.0, standing: bool | None = None
    ) -> str:
        if position is None or standing is None:
            return "position and standing must be given"
        if self.fault == "stuck" and (position["x"], position["z"]) == PLACES[4]:
            return "TeleportFull could not place the agent: it collides\nwith Sofa|1"
        self.x, self.z, self.placed = position["x"], position["z"], True
        self.yaw, self.horizon = rotation["y"] % 360, horizon
        if self.fault == "elsewhere" and rotation["y"] != 0:
            self.x += 0.1
        return ""

    def _event(self, problem: str, result: Any) -> Any:
        self.renders += 1
        camera = {"x": self.x, "y": AGENT_HEIGHT + CAMERA_HEIGHT, "z": self.z}
        if self.fault == "NaN pose" and (self.x, self.z) == PLACES[4]:
            camera["y"] = math.nan
        metadata = {
            "lastActionSuccess": not problem,
            "errorMessage": problem,
            "actionReturn": result,
            "agent": {
                "position": {"x": self.x, "y": AGENT_HEIGHT, "z": self.z},
                "rotation": {"x": 0.0, "y": self.yaw, "z": 0.0},
                "cameraHorizon": self.horizon,
                "isStanding": True,
            },
            "cameraPosition": camera,
            "fov": self.fov,
            "objects": [{"objectId": "Mug|1|1|-5", "objectType": "Mug"}],
        }
        names = {colour: name for name, colour in COLOURS.items()}
        return SimpleNamespace(metadata=metadata, color_to_object_id=names, **self._images())

    def _images(self) -> dict[str, Any]:
        turn = -1 if self.fault == "inverted pose" else 1
        position = [self.x, AGENT_HEIGHT + CAMERA_HEIGHT, -self.z]
        pose = look(position, -turn * self.yaw, -turn * self.horizon)
        if self.fault == "swapped axes":
            pose = pose @ np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
        across = 2 * math.atan(math.tan(math.radians(self.fov) / 2) * self.width / self.height)
        width = self.width + (self.fault == "absurd size")
        seen = render(pose, width, self.height, math.degrees(across))
        metres = seen["depth"] / (10 if self.fault == "wrong unit" else 1)
        normals = NORMALS[seen["face"]] @ pose[:3, :3]
        kinds = np.array([COLOURS[kind] for kind in KINDS], np.uint8)
        objects = np.array([COLOURS[name] for name in OBJECTS], np.uint8)
        return {
            "frame": seen["rgb"],
            "depth_frame": None if self.fault == "no depth" else (metres * (FAR - NEAR) / FAR).astype(np.float32),
            "normals_frame": np.rint((normals + 1) * 127.5).astype(np.uint8),
            "instance_segmentation_frame": objects[seen["face"]],
            "semantic_segmentation_frame": kinds[seen["face"]],
        }


def install() -> None:
    """Let `import ai2thor.controller` find this."""
    package, controller, platform = (ModuleType(f"ai2thor{name}") for name in ("", ".controller", ".platform"))
    controller.Controller = Controller  # type: ignore[attr-defined]
    platform.CloudRendering = object()  # type: ignore[attr-defined]
    sys.modules.update({module.__name__: module for module in (package, controller, platform)})
