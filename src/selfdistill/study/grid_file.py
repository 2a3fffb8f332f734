"""Grids defined in Python files."""

import runpy
import sys
import traceback
from pathlib import Path

from selfdistill.errors import UserError
from selfdistill.files import is_file
from selfdistill.study.grid import Grid

EXAMPLE = 'STUDY = Grid(methods=["ce()", "drg() + dsr()"], recipe=RunConfig("ce()", epochs=20))'


def read_grid(file: Path) -> Grid:
    """Execute a Python file and return its `STUDY`. Raises `UserError` if it defines none."""
    if not is_file(file):
        raise UserError(f"there is no file {file}; a study is a Python file with {EXAMPLE}")
    sys.path.insert(0, str(file.parent.absolute()))  # so that it can import modules in its folder
    try:
        found = runpy.run_path(str(file)).get("STUDY")
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    except (Exception, SystemExit) as error:
        lines = [each.lineno for each in traceback.extract_tb(error.__traceback__) if each.filename == str(file)]
        where = f"line {lines[-1]} of {file}" if lines else str(file)
        raise UserError(f"{where} raised {type(error).__name__}: {error}; correct the file") from None
    if not isinstance(found, Grid):
        raise UserError(f"{file} has no STUDY that is a Grid (found {type(found).__name__}); write {EXAMPLE}")
    return found
