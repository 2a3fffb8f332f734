from pathlib import Path

import pytest

from selfdistill.data.cache_folder import cache_folder, kept_file
from selfdistill.errors import UserError


def test_the_folder_follows_the_environment(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/there")
    monkeypatch.delenv("SELFDISTILL_CACHE", raising=False)
    assert cache_folder("parquet") == Path("/there/selfdistill/parquet")
    monkeypatch.setenv("SELFDISTILL_CACHE", "/here")
    assert cache_folder("parquet") == Path("/here/parquet")


def test_a_file_is_written_once(tmp_path):
    path = kept_file(tmp_path / "new" / "file", lambda partial: partial.write_text("1") and None)
    assert kept_file(path, lambda partial: partial.write_text("2") and None).read_text() == "1"


def test_half_a_file_is_not_kept(tmp_path):
    def write(partial):
        partial.write_text("half")
        raise ValueError("cut")

    with pytest.raises(ValueError, match="cut"):
        kept_file(tmp_path / "file", write)
    assert {each.name for each in tmp_path.iterdir()} <= {"file.lock"}


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"choose another folder by \$SELFDISTILL_CACHE"):
        kept_file(tmp_path / "file" / "inner" / "x", lambda partial: None)


def test_a_full_disk(tmp_path):
    def write(partial):
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match=r"No space left on device; free the disk, or choose another folder by"):
        kept_file(tmp_path / "x", write)
