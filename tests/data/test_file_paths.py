import os
from pathlib import Path

import numpy as np
import pytest

from selfdistill.data.file_paths import FilePaths

FILES = [(Path("r/a"), "0.png"), (Path("r/b"), "ä.png"), (Path("r/a"), os.fsdecode(b"\xff.png"))]


@pytest.fixture
def paths():
    return FilePaths.of(FILES)


def listed(paths):
    return [each.as_posix() for each in paths]


def test_paths_are_those_that_were_packed(paths):
    assert [*paths] == [folder / name for folder, name in FILES]
    assert paths[-1].name == os.fsdecode(b"\xff.png")


def test_none_at_all():
    assert [*FilePaths.of(())] == [*FilePaths.joined([])] == [*FilePaths.of(()).by_folder()] == []
    assert not FilePaths.of(()).used_folders()


def test_joined_parts(paths):
    joined = FilePaths.joined([paths.part(1, 3), FilePaths.of([(Path("r/c"), "1")]), paths.part(0, 1)])
    assert [*joined] == [paths[1], paths[2], Path("r/c/1"), paths[0]]
    assert len(joined.folders) == 3  # parts of one index share their folders


def test_the_files_of_each_folder_in_order(paths):
    assert [(folder, [*files]) for folder, files in paths.by_folder()] == [
        (Path("r/a"), [paths[0], paths[2]]),
        (Path("r/b"), [paths[1]]),
    ]


def test_folders_without_files_are_not_used(paths):
    assert paths.part(1, 2).used_folders() == {Path("r/b")}


def test_arrays_hold_the_paths_for_another_root(paths):
    assert [*FilePaths.from_arrays(paths.arrays(Path("r")), Path("r"))] == [*paths]
    assert FilePaths.from_arrays(paths.arrays(Path("r")), Path("q"))[0] == Path("q/a/0.png")


def test_a_million_files_fit_into_forty_megabytes():
    paths = FilePaths.of((Path("train/n01440764"), "n01440764_10026.JPEG") for _ in range(10**5))
    held = (paths.folder_of, paths.names, paths.ends)
    assert sum(each.nbytes for each in held) < 40e6 / 10
    assert all(isinstance(each, np.ndarray) for each in held)
