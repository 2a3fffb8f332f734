"""Studies that are written down in a Python file."""

import runpy
import sys
import traceback
from pathlib import Path

from selfdistill.errors import UserError
from selfdistill.study.grid import Grid

EXAMPLE = 'STUDY = Grid(methods=["ce()", "drg() + dsr()"], recipe=RunConfig("ce()", epochs=20))'


def read_grid(file: Path) -> Grid:
    """The `STUDY` of a Python file, which is executed. Raises `UserError` where there is none."""
    if not file.is_file():
        raise UserError(f"there is no file {file}; a study is a Python file with {EXAMPLE}")
    sys.path.insert(0, str(file.parent.absolute()))  # so that methods of one's own can lie beside it
    try:
        found = runpy.run_path(str(file)).get("STUDY")
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    except Exception as error:
        lines = [each.lineno for each in traceback.extract_tb(error.__traceback__) if each.filename == str(file)]
        where = f"line {lines[-1]} of {file}" if lines else str(file)
        raise UserError(f"{where} raised {type(error).__name__}: {error}; mend the file") from None
    if not isinstance(found, Grid):
        raise UserError(f"{file} has no STUDY that is a Grid (found {type(found).__name__}); write {EXAMPLE}")
    return found
