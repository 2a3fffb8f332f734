import pytest

from selfdistill.data.sources.class_list import read_class_list
from selfdistill.errors import UserError

COLORS = ((0, 0, 0), (64, 128, 64))


@pytest.mark.parametrize("name", ["classes.txt", "labels.txt"])
def test_a_line_is_a_name(tmp_path, name):
    (tmp_path / name).write_text("sky\n\ntraffic light \nclass 12\n")
    assert read_class_list(tmp_path) == (("sky", "traffic light", "class 12"), None)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "sky 0 0 0\ntraffic light 64 128 64"),
        ("label_colors.txt", "0 0 0\t\tsky\n64 128 64\ttraffic light\n"),
        ("class_dict.csv", "name,r,g,b\nsky,0,0,0\ntraffic light, 64, 128, 64\n"),
        ("labels.txt", "sky: 0,0,0\ntraffic light: 64,128,64\n"),
    ],
)
def test_a_line_may_have_a_color(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_class_list(tmp_path) == (("sky", "traffic light"), COLORS)


def test_a_name_may_end_with_a_number(tmp_path):
    (tmp_path / "classes.txt").write_text("zone 1 0 0 0\nzone 2 10 0 0\n")
    assert read_class_list(tmp_path) == (("zone 1", "zone 2"), ((0, 0, 0), (10, 0, 0)))


def test_without_a_list_there_is_none(tmp_path):
    assert read_class_list(tmp_path) is None


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"classes.txt": "a\nb", "labels.txt": "a\nb"}, r"has classes.txt and labels.txt, two lists of the classes"),
        ({"classes.txt": "a 0 0 0\nb"}, r"gives colors for some classes, and none for 'b'; add it, or remove all"),
        ({"classes.txt": "a\nb\na"}, r"classes.txt' lists a twice; give each class a line with its own name and color"),
        ({"classes.txt": "a 0 0 0\nb 0 0 0"}, r"classes.txt' lists 0 0 0 twice"),
        ({"classes.txt": "a 0 0 300"}, r"has the color 0 0 300; red, green and blue go from 0 to 255"),
    ],
)
def test_a_list_that_does_not_fit_is_answered(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message):
        read_class_list(tmp_path)
