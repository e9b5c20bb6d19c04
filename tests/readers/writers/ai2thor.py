"""A ProcTHOR house in JSON; tests look at it through the simulator of fake_ai2thor.py, which this puts in place."""

import json
from pathlib import Path
from typing import Any

import fake_ai2thor
from scene import Scene

from writers import Dropped

fake_ai2thor.install()

FAULTS = ("swapped axes", "wrong unit", "inverted pose")  # there is no clock
OPTIONS = {"samples": 6, "width": 96, "height": 72, "horizon": 15.0}


def house(fault: str | None = None) -> dict[str, Any]:
    agent = {
        "position": {"x": 2.0, "y": 0.95, "z": -2.2},
        "rotation": {"x": 0, "y": 270, "z": 0},
        "horizon": 30,
        "standing": True,
    }
    return {
        "rooms": [{"id": "room|2", "roomType": "Kitchen", "floorPolygon": []}],
        "walls": [],
        "doors": [],
        "windows": [],
        "objects": [],
        "proceduralParameters": {"skyboxId": "SkyAlbany"},
        "metadata": {"agent": agent, "fault": fault, "schema": "1.0.0"},
    }


def write(folder: Path, scene: Scene) -> Path:
    folder.mkdir(parents=True)
    path = folder / "house.json"
    path.write_text(json.dumps(house(scene.fault)))
    return path


def _put(text: str) -> Any:
    return lambda path: path.write_text(text) and None


def _fault(fault: str) -> Any:
    return _put(json.dumps(house(fault)))


def _unplaced() -> Any:
    value = house()
    del value["metadata"]
    return _put(json.dumps(value))


DAMAGE: dict[str, tuple[Any, Any]] = {
    "not JSON": (_put('{"rooms": ['), "not valid JSON"),
    "nested without end": (_put("[" * 100_000), "not valid JSON"),
    "no house": (_put('{"frames": []}'), 'no "rooms" and no "scene"'),
    "an empty list": (_put("[]"), "has no house 0; it holds 0"),
    "a scene that does not exist": (_put('{"scene": "FloorPlan999"}'), "Scene 'FloorPlan999' not contained in build"),
    "a house without an agent": (_unplaced(), "does not place its agent"),
    "nowhere to stand": (_fault("nowhere"), "no place that its agent can reach"),
    "a place where nobody can stand": (_fault("stuck"), Dropped(1, "cannot stand there: .* collides with Sofa")),
    "NaN pose": (_fault("NaN pose"), Dropped(1, "does not tell where its camera is")),
    "an agent that ends elsewhere": (_fault("elsewhere"), "0.1 m and 0 degrees from where it was told"),
    "a simulator that crashes": (_fault("crash"), "the simulator fails .*timed out"),
    "no depth": (_fault("no depth"), "its depth_frame is None"),
    "absurd size": (_fault("absurd size"), r"its frame is \(72, 97, 3\), not \(72, 96\)"),
}
