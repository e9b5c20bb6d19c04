"""The files of a report: check.json and check.png."""

from pathlib import Path

from tst.errors import UserError
from tst.files import read_json, write_json
from tst.inspection.picture import draw
from tst.inspection.report import Report

MAKER = "tst check"


def save(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write check.json and check.png into `folder`; those of an earlier check are renewed.

    Raises:
        UserError: there are other files of these names.
    """
    numbers, picture = Path(folder) / "check.json", Path(folder) / "check.png"
    if numbers.exists():
        there = read_json(numbers)
        if not isinstance(there, dict) or there.get("made_by") != MAKER:
            raise UserError(f"{numbers}: exists and is not of a check. Choose another folder with --out FOLDER.")
    draw(report, picture)
    write_json(numbers, {"made_by": MAKER, **report.to_dict()})
    return numbers, picture
