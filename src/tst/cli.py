"""The command line: one command a stage, its options made from the stage's own types and docstrings."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import tyro

from tst.config import Config
from tst.errors import UserError
from tst.files import read_json

# name: (function of this module that returns the command, one line of help). Commands import what they need when they
# run, so that `tst --help` answers at once.
COMMANDS: dict[str, tuple[str, str]] = {
    "read": ("_read", "read a capture into a Space"),
    "info": ("_info", "say what is in a Space"),
    "show": ("_show", "draw a contact sheet of a Space"),
    "check": ("_check", "say whether a recording is good enough, and what to record next"),
    "view": ("_view", "look at walks in Rerun, or save a recording for it"),
    "derive": ("_derive", "compute normals from depth and edges from RGB"),
    "map": ("_map", "fuse all views in 3D: a point cloud with classes, and where the map is weak"),
    "label": ("_label", "label every frame with trained models: features, edges, masks, boxes"),
    "fuse": ("_fuse", "average labels in 3D over all frames that saw a place"),
    "tokenize": ("_tokenize", "train a tokenizer for each modality of a Space"),
    "pretrain": ("_pretrain", "pre-train the encoder on a Space"),
    "transfer": ("_transfer", "fine-tune on a labelled Space"),
    "selftrain": ("_selftrain", "train a model further on what its own views of a Space agree on"),
    "evaluate": ("_evaluate", "measure a model on a labelled Space"),
    "demo": ("_demo", "see it work: a house made here, labels of other houses, a specialised model and its report"),
    "house make": ("_house_make", "make furnished houses, walk through them, render them into a Space"),
    "house view": ("_house_view", "draw a house's plan and pictures from inside"),
    "furniture add": ("_furniture_add", "add a Sweet Home 3D library (.sh3f) to the houses' furniture"),
    "furniture install": ("_furniture_install", "download Debian's Sweet Home 3D furniture and add it"),
    "specialize": ("_specialize", "all of it: from a walk to a specialised model and a report"),
}

EXAMPLE = """A vision model for one space, made in that space.

  tst read nerfstudio CAPTURE spaces/home            the unlabelled walk
  tst read labelled   LABELLED spaces/labelled       labels of other places
  tst specialize spaces/home --transfer spaces/labelled --evaluate spaces/home-labelled --out runs/home

commands:"""


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `tst`; exits with 0, 1 for an error the user can mend, 2 for a wrong command line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print(EXAMPLE)
        for name, (_, text) in COMMANDS.items():
            print(f"  {name:<18} {text}")
        print("\n`tst COMMAND --help` tells its options.")
        return
    if arguments[0] in ("-V", "--version"):
        from tst import __version__

        print(__version__)
        return
    words = 2 if " ".join(arguments[:2]) in COMMANDS else 1
    name, arguments = " ".join(arguments[:words]), arguments[words:]
    if name not in COMMANDS:
        print(f"tst: no command {name!r}. Choose one of: {', '.join(COMMANDS)}.", file=sys.stderr)
        sys.exit(2)
    from pydantic import ValidationError

    try:
        command = globals()[COMMANDS[name][0]](arguments)
        tyro.cli(command, prog=f"tst {name}", description=COMMANDS[name][1], args=arguments)
    except UserError as error:
        print(f"tst {name}: {error}", file=sys.stderr)
        sys.exit(1)
    except ValidationError as error:
        if not error.title.endswith("Config"):
            raise
        # Options that do not fit each other; tyro tells of those that are wrong by themselves.
        reasons = "; ".join(item["msg"].removeprefix("Value error, ") for item in error.errors())
        print(f"tst {name}: {reasons}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"\ntst {name}: stopped. The same command goes on from here.", file=sys.stderr)
        sys.exit(130)


def _preset_of(arguments: list[str]) -> Any:
    """The preset that the command line names, whose values become the defaults of all other options."""
    from tst.presets import preset

    name = "auto"
    for index, argument in enumerate(arguments):
        if argument.startswith("--preset="):
            name = argument.partition("=")[2]
        elif argument == "--preset" and index + 1 < len(arguments):
            name = arguments[index + 1]
    return preset(name if name in get_args(Preset) else "auto")  # type: ignore[arg-type]


Space_ = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SPACE")]
Preset = Literal["auto", "cpu", "gpu", "demo", "paper"]


def _read(arguments: list[str]) -> Callable[..., None]:
    from tst.readers import MODULES, READERS, only_format, read
    from tst.space.choosing import ReadConfig

    named = arguments[0] if arguments and arguments[0] in READERS else "auto"
    formats: Any = Literal[("auto", *READERS)]
    own: Any = _own_options(MODULES[named].read) if named in READERS else Config

    def command(
        format: Annotated[formats, tyro.conf.Positional],
        source: Annotated[Path, tyro.conf.Positional],
        space: Space_,
        walk: str | None = None,
        classes: Path | None = None,
        options: Annotated[own, tyro.conf.arg(name="")] = own(),
        config: Annotated[ReadConfig, tyro.conf.arg(name="")] = ReadConfig(),
    ) -> None:
        """Read a capture into a Space: a new one, or a further walk of one that exists.

        Formats have options of their own: `tst read FORMAT --help` tells them. docs/captures tells how to record.

        Args:
            format: Format of the capture; auto finds it out.
            source: The capture.
            space: Folder of the Space.
            walk: Name of the walk; by default that of the source.
            classes: JSON with the class names; needed for labels.
            options: Options of the format.
            config: Which frames are kept, and how.
        """
        if format == "auto":
            found = only_format(source)
            format = found.format
            print(f"{source}: {found.format} ({found.reason})")
        own_options = options.model_dump()
        made = read(format, source, space, walk=walk, classes=classes, config=config, **own_options)
        print(f"{made.path}: {len(made)} frames, {', '.join(made.modalities())}")
        newest = made.walks[max(made.walks, key=lambda name: made.walks[name].record.date)]
        if lost := newest.dropped():
            print(f"{len(lost)} of the recording's frames left out; `tst info {made.path}` tells why")

    return command


def _own_options(function: Callable[..., Any]) -> Any:
    """A Config of what a reader takes beside the source, with the help of its docstring."""
    from docstring_parser import parse
    from pydantic import Field, create_model

    said = {item.arg_name: item.description for item in parse(function.__doc__ or "").params}
    hints = get_type_hints(function)
    fields: dict[str, Any] = {
        name: (hints[name], Field(item.default, description=(said.get(name) or "").replace("\n", " ")))
        for name, item in inspect.signature(function).parameters.items()
        if name != "source"
    }
    return create_model("OptionsConfig", __base__=Config, **fields)


def _info(arguments: list[str]) -> Callable[..., None]:
    from rich import print as show_rich

    from tst.space.info import info, render
    from tst.space.space import Space

    def command(space: Space_, check: bool = False) -> None:
        """Say what is in a Space.

        Args:
            space: Folder of the Space.
            check: Also decode every file and name the first damaged one.
        """
        opened = Space.open(space)
        if check:
            opened.check(full=True)
        show_rich(render(info(opened)))

    return command


def _show(arguments: list[str]) -> Callable[..., None]:
    from tst.space.contact_sheet import show
    from tst.space.space import Space

    def command(space: Space_, out: Path | None = None, frames: int = 8) -> None:
        """Draw a contact sheet of frames and modalities.

        Args:
            space: Folder of the Space.
            out: PNG to write; by default contact-sheet.png in the Space.
            frames: How many frames, evenly spread.
        """
        print(show(Space.open(space), out, frames))

    return command


def _check(arguments: list[str]) -> Callable[..., None]:
    from rich import print as show_rich

    from tst.inspection.check import check
    from tst.inspection.saving import save
    from tst.inspection.text import render
    from tst.space.space import Space

    def command(space: Space_, out: Path | None = None) -> None:
        """Say whether a recording is good enough, and what to record next.

        Args:
            space: Folder of the Space.
            out: Folder for check.json and check.png; by default the Space.
        """
        opened = Space.open(space)
        report = check(opened)
        files = save(report, out or opened.path)
        show_rich(render(report))
        print(*files, sep="\n")

    return command


def _view(arguments: list[str]) -> Callable[..., None]:
    from tst.space.space import Space
    from tst.viewing.view import view

    def command(
        space: Space_,
        out: Path | None = None,
        walk: tuple[str, ...] = (),
        frames: int | None = None,
        every: int | None = None,
    ) -> None:
        """Look at walks in Rerun, on this machine alone: space, images, sensors. Needs `pip install 'tst[view]'`.

        Args:
            space: Folder of the Space.
            out: Save a recording (.rrd) instead, for `rerun FILE`.
            walk: Names of the walks; by default all.
            frames: At most so many frames of each walk, evenly spread; by default 300.
            every: Each so-manieth frame instead; 1 for all.
        """
        if made := view(Space.open(space), out, walk, frames, every):
            print(made)

    return command


def _derive(arguments: list[str]) -> Callable[..., None]:
    from tst.modalities.derive import derive
    from tst.space.space import Space

    def command(space: Space_, modalities: tuple[str, ...] = ()) -> None:
        """Compute modalities from others: normals from depth, edges from RGB. Files that are there are kept.

        Args:
            space: Folder of the Space.
            modalities: Which; by default all that can be.
        """
        made = derive(Space.open(space), list(modalities) or None)
        print(f"{made.path}: {', '.join(made.modalities())}")

    return command


def _map(arguments: list[str]) -> Callable[..., None]:
    from tst.mapping.make import make_map
    from tst.mapping.predictions import CopiesConfig
    from tst.mapping.views import MapConfig
    from tst.space.space import Space

    def command(
        space: Space_,
        out: Path,
        model: Path | None = None,
        config: Annotated[MapConfig, tyro.conf.arg(name="")] = MapConfig(),
        copies: CopiesConfig = CopiesConfig(),
    ) -> None:
        """Fuse all views with depth and pose in one 3D map (docs/mapping.md).

        With a model also its classes, how sure it is and how far views agree; and a plan of where it is weak.

        Args:
            space: Folder of the Space.
            out: File to write: .ply (points) or .rrd (for Rerun); with a model, a plan of the same name as .png.
            model: Run folder of `tst transfer`.
            config: Options of the map.
            copies: Copies of each frame whose predictions are averaged.
        """
        made = make_map(Space.open(space), out, model, config, copies)
        print(f"{made.cells:,} cells of {config.cell * 100:g} cm from {made.frames} frames")
        if made.scores:
            print("views of one place agree to {kappa:.0f} % beyond chance (kappa)".format(**made.scores))
        for place in made.places:
            print(f"  {place.text}")
        print(*made.files, sep="\n")

    return command


def _label(arguments: list[str]) -> Callable[..., None]:
    from tst.labellers.label import LabelConfig, label
    from tst.space.space import Space

    def command(
        space: Space_,
        labellers: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(name="with")] = (),
        again: bool = False,
        download: bool = False,
        ray: str | None = None,
        workers: int = 2,
        config: Annotated[LabelConfig, tyro.conf.arg(name="")] = LabelConfig(),
    ) -> None:
        """Label every frame with trained models; what they write is a modality like any other (docs/labelling.md).

        Args:
            space: Folder of the Space.
            labellers: NAME=PATH of weights, or a NAME that is in the hub's cache: dinov2, clip, imagebind, hed,
                sam-edges, ade20k, coco-masks, coco-boxes, with a suffix or without (dinov2-small=PATH). Repeatable.
            again: Remove labels that other weights or settings made, and label anew.
            download: Fetch weights that are not on this machine.
            ray: Label on a Ray cluster that shares the folder: its address, or `local`.
            workers: How many processes of that cluster.
            config: Options.
        """
        for done in label(
            Space.open(space), labellers, again=again, download=download, ray=ray, workers=workers, config=config
        ):
            print(done)

    return command


def _fuse(arguments: list[str]) -> Callable[..., None]:
    from tst.mapping.fused_modality import FuseModalityConfig, fuse_modality
    from tst.space.space import Space

    def command(
        space: Space_,
        modalities: Annotated[tuple[str, ...], tyro.conf.Positional],
        again: bool = False,
        config: Annotated[FuseModalityConfig, tyro.conf.arg(name="")] = FuseModalityConfig(),
    ) -> None:
        """Average what `tst label` wrote in 3D over all frames that saw a place: a modality of its own.

        Frames without poses keep what they have, so that labelled photographs can be fused too (docs/mapping.md).

        Args:
            space: Folder of the Space.
            modalities: Which, such as dinov2 ade20k.
            again: Remove what was fused from other values or with other settings, and fuse anew.
            config: Options of the map.
        """
        for name in modalities:
            opened = Space.open(space)
            made = fuse_modality(opened, name, config, again=again)
            print(f"{space}: {made}, {len(opened)} frames")

    return command


def _tokenize(arguments: list[str]) -> Callable[..., None]:
    from tst.space.space import Space
    from tst.tokenizers.train import TokenizeConfig, tokenize

    defaults = _preset_of(arguments)

    def command(
        space: Space_,
        out: Path,
        transfer: Path | None = None,
        transfer_modalities: tuple[str, ...] = defaults.pretrain.transfer_modalities,
        preset: Preset = "auto",
        config: Annotated[TokenizeConfig, tyro.conf.arg(name="")] = defaults.tokenize,
    ) -> None:
        """Train a tokenizer for each modality.

        Args:
            space: Folder of the Space.
            out: Folder for one run folder a modality.
            transfer: Labelled Space whose unlabelled frames are mixed in.
            transfer_modalities: What is taken from it.
            preset: Defaults of all other options: cpu, gpu, or auto by what the machine has.
            config: Options.
        """
        made = tokenize(
            Space.open(space),
            out,
            transfer=Space.open(transfer) if transfer else None,
            transfer_modalities=transfer_modalities,
            config=config,
        )
        for folder in made.values():
            print(folder)

    return command


def _pretrain(arguments: list[str]) -> Callable[..., None]:
    from tst.pretraining.pretrain import PretrainConfig, pretrain
    from tst.sequences.train import text_folders
    from tst.space.space import Space

    defaults = _preset_of(arguments)
    adapting = any(argument.partition("=")[0] == "--init" for argument in arguments)
    settings = defaults.adaptation if adapting else defaults.pretrain

    def command(
        space: Space_,
        out: Path,
        tokenizers: Path | None = None,
        transfer: Path | None = None,
        preset: Preset = "auto",
        config: Annotated[PretrainConfig, tyro.conf.arg(name="")] = settings,
    ) -> None:
        """Pre-train the encoder on a Space by multimodal masked modelling.

        Args:
            space: Folder of the Space.
            out: Run folder.
            tokenizers: Folder that `tst tokenize` made; distillation needs none.
            transfer: Labelled Space whose unlabelled frames are mixed in.
            preset: Defaults of all other options: cpu, gpu, or auto by what the machine has. With --init they are
                those of adaptation.
            config: Options.
        """
        found = sorted(tokenizers.glob("*/tokenizer.safetensors")) if tokenizers else []
        folders = {path.parent.name: path.parent for path in found} | (text_folders(tokenizers) if tokenizers else {})
        if not folders and config.objective != "distil":
            folder = tokenizers or "--tokenizers"
            raise UserError(f"{folder}: no tokenizers. Run `tst tokenize {space} --out FOLDER` and give that folder.")
        opened = Space.open(transfer) if transfer else None
        print(pretrain(Space.open(space), folders, out, transfer=opened, config=config))

    return command


def _transfer(arguments: list[str]) -> Callable[..., None]:
    from tst.finetuning.transfer import TransferConfig, transfer
    from tst.space.space import Space

    defaults = _preset_of(arguments)

    def command(
        space: Space_,
        out: Path,
        encoder: Path | None = None,
        backbone: str | None = None,
        specialist: Path | None = None,
        preset: Preset = "auto",
        config: Annotated[TransferConfig, tyro.conf.arg(name="")] = defaults.finetune,
    ) -> None:
        """Fine-tune an encoder on a labelled Space.

        Args:
            space: Folder of the labelled Space.
            out: Run folder.
            encoder: Run folder of a pre-training; without any of these three, from scratch.
            backbone: A generalist instead: a known name, timm:NAME, or a folder or file of weights.
            specialist: A Mask2Former instead, fine-tuned whole.
            preset: Defaults of all other options: cpu, gpu, or auto by what the machine has.
            config: Options.
        """
        opened = Space.open(space)
        print(transfer(opened, out, encoder=encoder, backbone=backbone, specialist=specialist, config=config))

    return command


def _selftrain(arguments: list[str]) -> Callable[..., None]:
    from tst.finetuning.self_training import SelfTrainConfig, self_train
    from tst.space.space import Space

    def command(
        space: Space_,
        model: Path,
        labelled: Path,
        out: Path,
        teacher: tyro.conf.UseAppendAction[tuple[Path, ...]] = (),
        config: Annotated[SelfTrainConfig, tyro.conf.arg(name="")] = _preset_of(arguments).selftraining,
    ) -> None:
        """Train a fine-tuned model further on an unlabelled walk, until it sees in one image what many views agree on.

        Its predictions are averaged in 3D, so the walk needs depth and poses. docs/selftraining.md has the rules.

        Args:
            space: Folder of the Space with the unlabelled walk.
            model: Run folder of a transfer.
            labelled: The labelled Space that it was fine-tuned on.
            out: Run folder.
            teacher: Run folder of a further model of the same classes, whose predictions count in the pseudo-labels
                as much as its own. Repeatable.
            config: Options.
        """
        done = self_train(model, Space.open(space), Space.open(labelled), out, teachers=teacher, config=config)
        summary = read_json(done / "done.json")
        scores = ", ".join(f"{item[config.score]:.1f}" for item in summary["scores"])
        print(f"{done}: label-free score ({config.score}) {scores}; kept round {summary['rounds']}")

    return command


def _evaluate(arguments: list[str]) -> Callable[..., None]:
    from tst.evaluation.evaluate import EvaluateConfig, evaluate, scores
    from tst.mapping.predictions import CopiesConfig
    from tst.space.space import Space

    defaults = _preset_of(arguments)

    def command(
        model: Annotated[Path, tyro.conf.Positional],
        space: Space_,
        out: Path | None = None,
        preset: Preset = "auto",
        config: Annotated[EvaluateConfig, tyro.conf.arg(name="")] = defaults.predict,
    ) -> None:
        """Measure a model on a labelled Space; without labels, how far its views of one place agree (docs/mapping.md).

        Args:
            model: Run folder of `tst transfer`.
            space: Folder of the Space.
            out: Folder for confusions.npz and scores.json.
            preset: Defaults of all other options.
            config: Options.
        """
        opened = Space.open(space)
        if "semantic" not in opened.modalities():
            _print_agreement(model, opened, out, CopiesConfig(flip=config.flip, scales=(config.scale,)))
            return
        result = scores(evaluate(model, opened, out, config=config))
        low, high = result["ci95"]
        print(f"mIoU {result['miou']:.2f} (95 % interval {low:.2f} to {high:.2f})")
        print(f"pixel accuracy {result['pixel_accuracy']:.2f}")
        for name, value in result["per_class"].items():
            print(f"  {name:<20} {'absent' if value is None else f'{value:.2f}'}")
        for name, value in result["per_part"].items():
            print(f"part {name}: mIoU {value['miou']:.2f}")

    return command


def _print_agreement(model: Path, space: Any, out: Path | None, copies: Any) -> None:
    from tst.files import write_json
    from tst.mapping.predictions import Model
    from tst.mapping.score import agreement_score

    found = agreement_score(space, Model(model, space, copies))
    if out is not None:
        write_json(out / "scores.json", found)
    print(f"{space.path}: has no labels. Agreement of the model's views of one place, over {found['cells']} places:")
    print(f"  kappa        {found['kappa']:6.2f} %     two views say the same, beyond chance")
    print(f"  self mIoU    {found['self_miou']:6.2f} %     each view against the majority of the others")
    print(f"  information  {found['information']:6.2f} bits  that one view tells of another")
    print(f"  consistency  {found['consistency']:6.2f} %     two views say the same; 100 for a constant, so no score")


def _demo(arguments: list[str]) -> Callable[..., None]:
    from tst.demo import DemoConfig, demo

    def command(
        out: Path = Path("runs/demo"),
        config: Annotated[DemoConfig, tyro.conf.arg(name="")] = DemoConfig(),
    ) -> None:
        """Make a house and a labelled set of other houses, and specialise a model to that house.

        Args:
            out: Folder for the Spaces, the runs and the report.
            config: Options.
        """
        comparison = demo(out, config)
        _print_comparison(comparison)
        print(out / "run" / "report.html")

    return command


def _house_make(arguments: list[str]) -> Callable[..., None]:
    from tst.houses.make import MakeConfig, make

    def command(
        space: Space_,
        seed: int | None = None,
        config: Annotated[MakeConfig, tyro.conf.arg(name="")] = MakeConfig(),
    ) -> None:
        """Make one house (or many), walk through, and render every modality into a Space.

        Args:
            space: Folder of the new Space.
            seed: Short for --house.seed: which house.
            config: Options.
        """
        if seed is not None:
            config = config.replace(house={"seed": seed})
        made = make(space, config)
        print(f"{made.path}: {len(made)} frames, {', '.join(made.modalities())}")

    return command


def _house_view(arguments: list[str]) -> Callable[..., None]:
    from tst.houses.house import HouseConfig
    from tst.houses.view import view

    def command(
        out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="PNG")],
        frames: int = 12,
        config: Annotated[HouseConfig, tyro.conf.arg(name="")] = HouseConfig(),
    ) -> None:
        """Draw a house from above and from inside.

        Args:
            out: PNG to write.
            frames: How many pictures from inside.
            config: Options of the house.
        """
        print(view(config, out, frames))

    return command


def _furniture_add(arguments: list[str]) -> Callable[..., None]:
    from tst.houses.furniture.sweethome import add_library

    def command(library: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="LIBRARY")]) -> None:
        """Add the furniture of a Sweet Home 3D library; `tst house make --house.furniture mixed` then uses it.

        Args:
            library: The .sh3f file.
        """
        print(add_library(library))

    return command


def _furniture_install(arguments: list[str]) -> Callable[..., None]:
    from tst.houses.furniture.sweethome import install

    def command() -> None:
        """Download Debian's package sweethome3d-furniture (120 MB) with apt, without root, and add its libraries."""
        for summary in install():
            print(summary)

    return command


def _specialize(arguments: list[str]) -> Callable[..., None]:
    from tst.presets import SpecializeConfig
    from tst.specialization.specialize import specialize

    defaults = _preset_of(arguments)

    def command(
        space: Space_,
        transfer: Path,
        evaluate: Path,
        out: Path,
        task: str = "segmentation",
        preset: Preset = "auto",
        config: Annotated[SpecializeConfig, tyro.conf.arg(name="")] = defaults,
    ) -> None:
        """From a walk to a model specialised to that space, and a report of how much that helped.

        Args:
            space: Space with the unlabelled walk.
            transfer: Labelled Space of other places.
            evaluate: Labelled Space to measure on; nothing of it reaches any training or choice.
            out: Folder for all run folders and the report.
            task: Downstream task.
            preset: Defaults of all other options: cpu, gpu, or auto by what the machine has.
            config: Options.
        """
        comparison = specialize(space, transfer=transfer, evaluate=evaluate, out=out, task=task, config=config)
        _print_comparison(comparison)
        print(out / "report.html")

    return command


def _print_comparison(comparison: Any) -> None:
    for row in comparison.rows:
        low, high = row.ci95
        print(f"{row.name:<28} mIoU {row.miou:6.2f}  (95 % interval {low:.2f} to {high:.2f}, seeds: {len(row.seeds)})")


if __name__ == "__main__":
    main()
