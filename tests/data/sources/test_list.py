import pytest

from selfdistill.data import load
from selfdistill.data.fingerprint import fingerprint
from selfdistill.errors import UserError
from tests.helpers.image_files import save


def written(root, lists, images=True, end="\n", bom="", ending=".txt", below=""):
    """Write lists by their split, and the image of each line."""
    root.mkdir(parents=True, exist_ok=True)
    for name, lines in lists.items():
        (root / f"{name}{ending}").write_bytes((bom + end.join(lines) + end).encode())
        for k, line in enumerate(lines):
            if images:
                save(root / below / line.split(",")[0].split("\t")[0].strip('"').replace("\\", "/"), k)
    return root


def read(root, query="", **options):
    notes = []
    splits = load(f"list:{root}{query}", on_note=notes.append, **options)
    return splits, notes


def refused(root, query="", **options):
    with pytest.raises(UserError) as caught:
        load(f"list:{root}{query}", on_note=lambda note: None, **options)
    return str(caught.value)


FOLDERS = {"train": ["cat/a.png", "ant/b.png"], "val": ["cat/v.png"], "test": ["ant/c.png", "cat/d.png"]}
LABELS = {"train": ["x/a.png, 10, 0", "y/b.png, 2, 1", "y/c.png, 10, 1"], "test": ["x/d.png, 2, 1"]}
MANY = [f"{'ab'[k % 4 == 0]}/{k}.png" for k in range(20)]


def test_classes_are_the_folders_in_the_paths(tmp_path):
    splits, notes = read(written(tmp_path, FOLDERS))
    assert splits.classes == ("ant", "cat")
    assert [each.labels.tolist() for each in (splits.train, splits.validation, splits.test)] == [[1, 0], [1], [0, 1]]
    assert notes == []


def test_paths_begin_in_the_only_folder_that_has_them(tmp_path):
    splits, _ = read(written(tmp_path, FOLDERS, below="101_Categories"))
    assert len(splits.train) == 2
    written(tmp_path, FOLDERS, below="other")
    assert "101_Categories and other both have 'cat/a.png'" in refused(tmp_path)
    assert len(read(tmp_path, f"?root={tmp_path / 'other'}")[0].train) == 2


def test_one_of_several_labels_is_chosen(tmp_path):
    root = written(tmp_path, LABELS)
    splits, _ = read(root, "?label=1")
    assert splits.classes == ("2", "10")
    assert splits.train.labels.tolist() == [1, 0, 1]
    assert read(root, "?label=2")[0].classes == ("0", "1")
    where = f"line 1 of '{root}/train.txt'"
    assert refused(root) == f"{where} has 2 labels, 10, 0; choose one by ?label=NUMBER, from 1 to 2"
    assert refused(root, "?label=3") == f"cannot read ?label=3; {where} has 2 labels, counted from 1"
    assert "leave it out" in refused(root, "?classes=top")


@pytest.mark.parametrize("gap", [",", ", ", ";", "\t", " ", "  ", " , "])
@pytest.mark.parametrize("name", ["x/a b.png", "x/a(1), b.PNG", "x/1.5 2.jpeg", "x/p.png.jpg"])
def test_separators_and_names(tmp_path, gap, name):
    save(tmp_path / name)
    save(tmp_path / "z.png", 1)
    (tmp_path / "train.txt").write_text(f"{name}{gap}3{gap}cat\nz.png{gap}4{gap}ant\n")
    (tmp_path / "test.txt").write_text(f"z.png{gap}4{gap}ant\n")
    splits, notes = read(tmp_path, "?label=2")
    assert splits.train.labels.tolist() == [1, 0]
    assert notes == [
        f"1 images of '{tmp_path}' are listed more than once, 1 of them in several splits, such as z.png in "
        f"line 2 of '{tmp_path}/train.txt' and line 1 of '{tmp_path}/test.txt'"
    ]


@pytest.mark.parametrize("options", [{"end": "\r\n"}, {"bom": "\ufeff"}, {"end": "\n\n"}, {"ending": ".LST"}])
def test_lists_as_programs_write_them(tmp_path, options):
    assert read(written(tmp_path, FOLDERS, **options))[0].train.labels.tolist() == [1, 0]


def test_backslashes_and_quotes(tmp_path):
    lists = {"train": ["cat\\a.png", '"ant\\b.png"'], "test": ["cat/d.png"]}
    assert read(written(tmp_path, lists))[0].classes == ("ant", "cat")


def test_classes_of_nested_folders_are_chosen(tmp_path):
    root = written(tmp_path, {"train": ["fruit/apple/a.png", "fruit/pear/b.png", "nut/c.png"], "test": ["nut/d.png"]})
    assert refused(root) == (
        f"line 1 of '{root}/train.txt' lies in fruit/apple, so its class may be fruit or fruit/apple; add "
        "?classes=leaf to --data to make every folder of images a class, or ?classes=top for the outer folders alone"
    )
    assert read(root, "?classes=top")[0].classes == ("fruit", "nut")
    assert read(root, "?classes=leaf")[0].classes == ("fruit/apple", "fruit/pear", "nut")
    assert refused(root, "?classes=x").startswith("cannot read ?classes=x")


def test_a_class_is_skipped_by_name(tmp_path):
    lists = {name: [*lines, f"BACKGROUND_Google/{name}.png"] for name, lines in FOLDERS.items()}
    root = written(tmp_path, lists)
    splits, notes = read(root)
    assert len(splits.classes) == 3
    assert notes == [f"{root} has BACKGROUND_Google, no class of Caltech-101; leave it out by ?skip=BACKGROUND_Google"]
    splits, notes = read(root, "?skip=BACKGROUND_Google")
    assert splits.classes == ("ant", "cat")
    assert notes == [f"left out 3 images of BACKGROUND_Google of {root}, as ?skip asks"]
    assert refused(root, "?skip=dog") == f"'{root}' has no class 'dog' to skip; it has BACKGROUND_Google, ant, cat"
    assert "leaves no validation image" in refused(root, "?skip=cat,BACKGROUND_Google")


def test_names_of_classes_come_from_a_file(tmp_path):
    root = written(tmp_path, LABELS)
    (root / "names.json").write_text('{"2": "rose", "10": "lily", "11": "none"}')
    (root / "names.csv").write_text("Name,ID,Coarse\nrose,2,x\nrose,10,y\n")
    assert read(root, "?label=1&names=names.json")[0].classes == ("rose", "lily")
    assert read(root, "?label=1&names=names.csv,ID,Name")[0].classes == ("rose (2)", "rose (10)")
    assert "has the columns Name, ID, Coarse; name those of classes and names" in refused(
        root, "?label=1&names=names.csv"
    )
    assert "there is no file 'none.csv'" in refused(root, "?label=1&names=none.csv")
    assert "the class '0' of" in refused(root, "?label=2&names=names.json")
    (root / "names.json").write_text('{"2": 3}')
    assert "has 3 for '2'; class names in JSON are an object" in refused(root, "?label=1&names=names.json")


def test_a_share_of_one_list_is_the_test_set(tmp_path):
    root = written(tmp_path, {"train": MANY})
    splits, notes = read(root, test=0.2, seed=1)
    assert [len(splits.train), len(splits.test)] == [16, 4]
    assert splits.test.labels.bincount().tolist() == [3, 1]
    assert notes == [f"4 of the 20 images of '{root}', the same in every run, are the test set"]
    again, _ = read(root / "train.txt", test=0.2, seed=2, validation=0.25)
    assert again.test.images.equal(splits.test.images)
    assert refused(root) == f"'{root}' has no test images; hold out a share of its images by --test 0.2"


def test_groups_stay_whole(tmp_path):
    lines = [f"{k}.png, {'ab'[k % 2]}, patient {k // 4}" for k in range(20)]
    root = written(tmp_path, {"train": lines})
    splits, _ = read(root, "?label=1&group=2", test=0.2, validation=0.25)
    rows = {
        name: {each.numpy().tobytes() for each in part.images} for name, part in vars(splits).items() if name in SIDES
    }
    whole, _ = read(root, "?label=1", test=0.2)
    place = {}
    for k in range(20):
        pixels = read_pixels(root / f"{k}.png")
        place.setdefault(k // 4, set()).update(name for name, each in rows.items() if pixels in each)
    assert all(len(each) == 1 for each in place.values())
    assert set.union(*place.values()) == SIDES
    assert len(whole.test) == len(splits.test) == 4


SIDES = {"train", "validation", "test"}


def read_pixels(path):
    import numpy as np
    from PIL import Image

    with Image.open(path) as image:
        return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1)).tobytes()


def test_a_share_beside_a_test_list_is_refused(tmp_path):
    answer = f"'{tmp_path}' has test images, so there is nothing to draw; leave out --test"
    assert refused(written(tmp_path, FOLDERS), test=0.2) == answer


@pytest.mark.parametrize(
    ("lists", "answer"),
    [
        (
            {"train": ["a.png 0", "b.png 1"], "test": ["c.png 2"]},
            "line 1 of 'ROOT/test.txt' has the class '2', which no",
        ),
        (
            {"train": ["a.png 0.5", "b.png 1"], "test": ["c.png 1"]},
            "line 1 of 'ROOT/train.txt' has the label 0.5, but cl",
        ),
        (
            {"train": ["a.png -1", "b.png 1"], "test": ["c.png 1"]},
            "line 1 of 'ROOT/train.txt' has the label -1, but cla",
        ),
        (
            {"train": ["a.png 0", "b.png"], "test": ["c.png 1"]},
            "line 2 of 'ROOT/train.txt' has 0 labels, but the first",
        ),
        (
            {"train": ["a.png", "b.png"], "test": ["c.png"]},
            "line 1 of 'ROOT/train.txt' has neither a folder nor a label",
        ),
        (
            {"train": ["a.png 0", "b.tar 1"], "test": ["c.png 1"]},
            "line 2 of 'ROOT/train.txt' names no image file: 'b.tar",
        ),
        ({"test": ["a.png 0"]}, "'ROOT' has no train.txt, but test.txt; name the folder of the lists"),
        ({"train": [""], "test": ["a.png 0"]}, "'ROOT/train.txt' is empty"),
        (
            {"train": ["a.png 0"], "training": ["a.png 0"]},
            "train.txt and training.txt in 'ROOT' both list train images",
        ),
        (
            {"train": ["a.png 0", "b.png 0"], "test": ["c.png 0"]},
            "list:ROOT has 1 class; a classifier needs two at least",
        ),
    ],
)
def test_mistakes_are_answered(tmp_path, lists, answer):
    root = written(tmp_path, lists, images=False)
    for name in "abc":
        save(root / f"{name}.png")
    assert refused(root).startswith(answer.replace("ROOT", str(root)))


def test_missing_images_are_named_together(tmp_path):
    root = written(tmp_path, FOLDERS)
    (root / "cat" / "a.png").unlink()
    (root / "ant" / "c.png").unlink()
    assert refused(root) == (
        f"2 of the 5 images of '{root}' do not exist in '{root}': 'cat/a.png' in line 1 of '{root}/train.txt', "
        f"'ant/c.png' in line 1 of '{root}/test.txt'; correct the paths, or name the folder in which "
        "they begin by ?root=FOLDER"
    )
    assert "there is no 'nowhere'" in refused("nowhere")
    assert "there is no folder 'nowhere'" in refused(root, "?root=nowhere")
    assert "cannot read ?x=1" in refused(root, "?x=1")


def test_whole_floats_are_whole_numbers(tmp_path):
    lists = {"train": ["a.png 1.0", "b.png 2.0"], "test": ["c.png 1"]}
    assert read(written(tmp_path, {name: [each.replace(" ", ",") for each in lines] for name, lines in lists.items()}))[
        0
    ].classes == ("1", "2")


def test_the_fingerprint_is_of_the_lists_and_their_images(tmp_path):
    root = written(tmp_path, FOLDERS)
    before = fingerprint(f"list:{root}")
    assert before["count"] == 8
    save(root / "other.png")
    assert fingerprint(f"list:{root}") == before
    save(root / "cat" / "a.png", 9)
    assert fingerprint(f"list:{root}") != before
