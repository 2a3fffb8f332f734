import pytest

from selfdistill.errors import UserError
from selfdistill.files import (
    csv_cell,
    exists,
    glob,
    is_file,
    is_folder,
    make_folder,
    one_line,
    read_json,
    write_atomic,
    write_json,
)


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


def refusing(path):
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("ask", [is_file, is_folder, exists])
@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("n" * 300, "File name too long"),
        ("a\0b", "null"),
        ("loop", "Too many levels of symbolic links"),
        ("\ud800", "utf-8"),
    ],
)
def test_a_path_that_the_system_refuses(tmp_path, ask, name, answer):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UserError, match=rf"cannot access .*{answer}.*; choose another path") as found:
        ask(tmp_path / name)
    assert len(str(found.value)) < 500


@pytest.mark.parametrize("ask", [is_file, is_folder, exists, lambda path: glob(path, "*")])
def test_a_folder_that_may_not_be_entered(tmp_path, ask, monkeypatch):
    monkeypatch.setattr("selfdistill.files.os.stat", refusing)
    with pytest.raises(UserError, match=f"cannot access {tmp_path}: Permission denied"):
        ask(tmp_path)


def test_a_folder_that_may_not_be_listed(tmp_path, monkeypatch):
    monkeypatch.setattr("selfdistill.files.os.scandir", refusing)
    with pytest.raises(UserError, match=f"cannot access {tmp_path}: Permission denied"):
        glob(tmp_path, "*.json")


def test_paths_that_are_there_and_that_are_not(tmp_path):
    (tmp_path / "file").touch()
    assert (is_file(tmp_path / "file"), is_folder(tmp_path), exists(tmp_path / "file" / "below")) == (True, True, False)
    assert glob(tmp_path, "f*") == [tmp_path / "file"]
    assert glob(tmp_path / "nowhere", "*") == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [{"a": float("-inf")}]])
def test_what_is_no_number_is_not_written(tmp_path, value):
    with pytest.raises(
        UserError, match=r"cannot write .*a.json: .*JSON.*; a loss or a weight of the run is not finite"
    ):
        write_json(tmp_path / "a.json", {"x": value})


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("[]", r"an object is wanted, but the file holds \[\]"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ('{"a": ' * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "limit"),
    ],
)
def test_json_of_another_kind(tmp_path, text, answer):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=rf"cannot read .*a.json: .*{answer}"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("text", ["=1+1", "+a", "-b()", "@x", "\t=1"])
def test_a_cell_is_no_formula(text):
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["ce()", "-0.40", "+1", "1e-5", "-1.5e-05", "", -0.4, None])
def test_numbers_and_words_stay(value):
    assert csv_cell(value) == value


def test_one_line():
    assert one_line("a\n% b\r\x85\u2028c") == "a % b   c"


def test_half_a_surrogate_pair_is_told(tmp_path):
    (tmp_path / "run.json").write_text(r'{"method": "drg\ud800()"}')
    with pytest.raises(UserError, match="half of a surrogate pair"):
        read_json(tmp_path / "run.json")
    (tmp_path / "run.json").write_text(r'{"method": "\ud83d\ude00"}')
    assert read_json(tmp_path / "run.json") == {"method": "😀"}
