"""Modules of the user's own: importable from the current folder while they are imported, and never for longer."""

import os
import subprocess
import sys

import pytest

from selfdistill.own_modules import current_folder_importable, import_own

STRANGER = "from pathlib import Path\nPath('imported').touch()\n"
LOOKS = """
from selfdistill.cli.app import main
try:
    main(["evaluate", "."])
except SystemExit:
    pass
try:
    import an_optional_library
except ImportError:
    print("not found")
"""


def test_a_module_in_the_current_folder_is_imported(tmp_path, monkeypatch):
    (tmp_path / "own_of_a_test.py").write_text("NUMBER = 3\n")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert import_own("own_of_a_test").NUMBER == 3
    assert sys.path == before
    del sys.modules["own_of_a_test"]


def test_the_search_path_is_restored_after_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    before = list(sys.path)
    with pytest.raises(ModuleNotFoundError), current_folder_importable():
        import_own("no_module_of_this_name")
    assert sys.path == before


def test_a_command_in_a_strangers_folder_runs_no_file_of_it(tmp_path):
    (tmp_path / "an_optional_library.py").write_text(STRANGER)
    script = tmp_path.parent / "looks.py"
    script.write_text(LOOKS)
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout == "not found\n"
    assert not (tmp_path / "imported").exists()
