import pytest

from selfdistill.errors import UserError
from selfdistill.files import make_folder, read_json, write_atomic, write_json


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})

    def half(beside):
        beside.write_text('{"a"')
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match=r"cannot write .*a.json: No space left on device; free the disk or choose"):
        write_atomic(path, half)
    assert read_json(path) == {"a": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_what_json_cannot_hold_leaves_what_was_there(tmp_path):
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(TypeError, match="object is not JSON serializable"):
        write_json(tmp_path / "a.json", {"x": object()})
    assert read_json(tmp_path / "a.json") == {"x": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"cannot write .*a.json: No such file or directory; .*choose another --out"):
        write_json(tmp_path / "no folder" / "a.json", {})


def test_what_is_no_json_is_named(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UserError, match=r"cannot read .*a.json"):
        read_json(tmp_path / "a.json")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot make the folder .*; choose another --out"):
        make_folder(tmp_path / "file" / "run")
