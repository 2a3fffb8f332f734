import re
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch

from selfdistill.data import load
from selfdistill.data.fingerprint import fingerprint
from selfdistill.data.sources import task_of
from selfdistill.errors import UserError
from tests.helpers.image_files import channels_first, picture, save

tagged = partial(load, task="tag")
SPLIT = ["path,label,split", "a.png,cat,train", "b.png,ant,train", "c.png,cat,test"]


def written(root, lines, name="table.csv", end="\n", images=True, bom=""):
    """Write a table and the image of each row."""
    path, separator = root / name, "\t" if name.endswith("tsv") else ","
    path.write_bytes((bom + end.join(lines) + end).encode())
    for k, line in enumerate(lines[1:]):
        if images and (cell := line.split(separator)[0].strip('" ')):
            save(root / cell, k)
    return path


def many(root, count=20, columns="path,label", row="{k:02}.png,{c}"):
    """Write rows of two classes, 3 : 1."""
    return written(root, [columns, *(row.format(k=k, c="ab"[k % 4 == 0], g=k // 4) for k in range(count))])


def refused(answer, spec, **options):
    with pytest.raises(UserError) as caught:
        load(spec, **options)
    assert str(caught.value) == answer


def test_a_row_has_a_path_a_class_and_a_split(tmp_path):
    splits = load(f"csv:{written(tmp_path, SPLIT)}")
    assert splits.classes == ("ant", "cat")
    assert splits.train.labels.tolist() == [1, 0]
    assert splits.test.labels.tolist() == [1]
    assert splits.validation is None
    assert splits.notes == ()
    assert np.array_equal(splits.train.images[0].numpy(), channels_first(picture(0)))
    assert np.array_equal(splits.test.images[0].numpy(), channels_first(picture(2)))


@pytest.mark.parametrize(
    ("name", "options"),
    [("table.csv", {}), ("table.csv", {"end": "\r\n"}), ("table.csv", {"end": "\r"}), ("table.csv", {"bom": "\ufeff"})],
)
def test_a_table_as_programs_write_it(tmp_path, name, options):
    splits = load(f"csv:{written(tmp_path, [SPLIT[0], '', *SPLIT[1:], ',,'], name, **options)}")
    assert splits.train.labels.tolist() == [1, 0]


def test_tabs_and_blanks_around_cells(tmp_path):
    lines = [line.replace(",", "\t ") for line in SPLIT]
    assert load(f"csv:{written(tmp_path, lines, 'table.tsv')}").train.labels.tolist() == [1, 0]


def test_quoted_cells_hold_separators(tmp_path):
    save(tmp_path / "a, b.png", 5)
    lines = [*SPLIT, '"a, b.png","cat",train', '"a, b.png","bee, ""wild""",train']
    path = written(tmp_path, lines, images=False)
    for k, name in enumerate("abc"):
        save(tmp_path / f"{name}.png", k)
    with pytest.warns(UserWarning, match="1 images of .* are listed more than once"):
        splits = load(f"csv:{path}")
    assert splits.classes == ("ant", 'bee, "wild"', "cat")
    assert np.array_equal(splits.train.images[3].numpy(), channels_first(picture(5)))


@pytest.mark.parametrize("words", [("TRAIN", "Val"), ("training", "valid"), ("Train", "validation"), ("train", "dev")])
def test_validation_rows_alone_are_the_test_set(tmp_path, words):
    lines = [line.replace("train", words[0]).replace("test", words[1]) for line in SPLIT]
    splits = load(f"csv:{written(tmp_path, lines)}")
    assert (len(splits.train), splits.validation, len(splits.test)) == (2, None, 1)


def test_three_splits_and_other_columns(tmp_path):
    lines = ["id,Set,file,kind", "0,val,a.png,x", "1,train,b.png,y", "2,train,c.png,x", "3,test,d.png,y"]
    for k, name in enumerate("abcd"):
        save(tmp_path / f"{name}.png", k)
    splits = load(f"csv:{written(tmp_path, lines, images=False)}?label=kind&split=Set")
    assert [each.labels.tolist() for each in (splits.train, splits.validation, splits.test)] == [[1, 0], [0], [1]]
    assert np.array_equal(splits.validation.images[0].numpy(), channels_first(picture(0)))


@pytest.mark.parametrize("cells", ["012", ["0.0", "1.0", "2.0"], ["0", "+1", "2."]])
def test_whole_numbers_are_class_ids(tmp_path, cells):
    lines = ["path,label,split", *(f"{k}.png,{cell},train" for k, cell in enumerate(cells)), f"9.png,{cells[2]},test"]
    splits = load(f"csv:{written(tmp_path, lines)}")
    assert splits.classes == ("0", "1", "2")
    assert splits.test.labels.tolist() == [2]


@pytest.mark.parametrize(("cells", "classes"), [(("01", "02"), ("01", "02")), (("10", "x9"), ("10", "x9"))])
def test_other_cells_are_names(tmp_path, cells, classes):
    first, second = cells
    lines = ["path,label,split", f"a.png,{second},train", f"b.png,{first},train", f"c.png,{first},val"]
    assert load(f"csv:{written(tmp_path, lines)}").classes == classes


def test_without_splits_a_stratified_fifth_is_the_test_set(tmp_path):
    path = many(tmp_path)
    note = f"{path} has no column 'split': 4 of its rows, the same in every run, are the test set"
    with pytest.warns(UserWarning, match=re.escape(note)):
        splits = load(f"csv:{path}", seed=1)
    assert splits.notes == (note,)
    assert torch.bincount(splits.test.labels).tolist() == [3, 1]
    again = load(f"csv:{path}", seed=2, on_note=lambda note: None)
    assert again.test.images.equal(splits.test.images)
    seen = {each.numpy().tobytes() for images in (splits.train, splits.test) for each in images.images}
    assert len(seen) == 20


def test_the_share_of_the_test_set(tmp_path):
    notes = []
    splits = load(f"csv:{many(tmp_path)}?test=0.4", on_note=notes.append)
    assert len(splits.test) == 8
    assert notes == ["8 of the 20 rows, the same in every run, are the test set"]
    for share in ("0", "1", "x", "nan"):
        refused(
            f"cannot read ?test={share}; write a share between 0 and 1, such as ?test=0.2",
            f"csv:{tmp_path / 'table.csv'}?test={share}",
        )


def test_groups_stay_together_in_every_split(tmp_path):
    path = many(tmp_path, 40, "path,label,who", "{k:02}.png,{c},{g}")
    splits = load(f"csv:{path}?group=who&test=0.3", validation=0.3, on_note=lambda note: None)
    names = {picture(k).tobytes(): k // 4 for k in range(40)}
    groups = [
        {names[image.numpy().transpose(1, 2, 0).tobytes()] for image in images.images}
        for images in (splits.train, splits.validation, splits.test)
    ]
    assert [len(each) for each in (splits.train, splits.validation, splits.test)] == [20, 8, 12]
    assert sum(map(len, groups)) == len(set().union(*groups)) == 10


def test_groups_stay_together_though_images_are_left_out(tmp_path):
    path = many(tmp_path, 40, "path,label,who", "{k:02}.png,{c},{g}")
    for k in (1, 2, 9):
        (tmp_path / f"{k:02}.png").write_bytes(b"")
    splits = load(f"csv:{path}?group=who", validation=0.3, skip_unreadable=True, on_note=lambda note: None)
    names = {picture(k).tobytes(): k // 4 for k in range(40)}
    train, held = (
        {names[image.numpy().transpose(1, 2, 0).tobytes()] for image in images.images}
        for images in (splits.train, splits.validation)
    )
    assert not train & held


def test_a_group_in_two_splits(tmp_path):
    lines = ["path,label,split,who", "a.png,x,train,1", "b.png,y,train,2", "c.png,x,test,1"]
    path = written(tmp_path, lines)
    refused(
        f"one group has rows in two splits: line 2 of '{path}' is train, line 4 of '{path}' is test; correct the "
        "splits, or leave out ?group",
        f"csv:{path}?group=who",
    )


def test_one_group_cannot_be_split(tmp_path):
    lines = ["path,label,who", "a.png,x,1", "b.png,y,1"]
    path = written(tmp_path, lines)
    refused(
        "all rows are of one group, so they cannot be split; name another column by ?group=COLUMN",
        f"csv:{path}?group=who",
    )
    written(tmp_path, [*lines, "c.png,y,"])
    refused(f"line 4 of '{path}' has no group in the column 'who'; add it", f"csv:{path}?group=who")


def test_several_columns_are_tags(tmp_path):
    lines = ["path,red,round,split", "a.png,1,0,train", "b.png,0.0,1.0,train", "c.png,,TRUE,train", "d.png,1,false,val"]
    spec = f"csv:{written(tmp_path, lines)}?label=red,round"
    assert task_of(spec) == "tag"
    splits = tagged(spec)
    assert splits.classes == ("red", "round")
    assert splits.train.labels.tolist() == [[1, 0], [0, 1], [-100, 1]]
    assert splits.train.labels.dtype == torch.float32
    assert splits.test.labels.tolist() == [[1, 0]]
    refused(
        f"{spec} has tags, not one class for each image; load it with sd.data.load(…, task='tag')",
        spec,
    )


@pytest.mark.parametrize("separator", ["|", ";"])
def test_lists_are_tags(tmp_path, separator):
    lists = [["sky", "sea"], [], ["sea"], ["sky "]]
    lines = ["path,what,split"]
    lines += [f"{k}.png,{separator.join(each)},{'train' if k < 3 else 'test'}" for k, each in enumerate(lists)]
    option = "" if separator == "|" else f"&separator={separator}"
    splits = tagged(f"csv:{written(tmp_path, lines)}?tags=what{option}")
    assert splits.classes == ("sea", "sky")
    assert splits.train.labels.tolist() == [[1, 1], [0, 0], [1, 0]]
    assert splits.test.labels.tolist() == [[0, 1]]


def test_tags_are_split_uniformly(tmp_path):
    path = many(tmp_path, columns="path,what")
    splits = tagged(f"csv:{path}?tags=what", validation=0.25, on_note=lambda note: None)
    assert [len(each) for each in (splits.train, splits.validation, splits.test)] == [12, 4, 4]


@pytest.mark.parametrize(
    ("lines", "options", "answer"),
    [
        (
            [*SPLIT, "d.png,,train"],
            "",
            "line 5 of '{}' has no label, as 1 of 3 train rows; add the labels, or remove the rows",
        ),
        (
            [*SPLIT, "d.png,bee,test"],
            "",
            "line 5 of '{}' has the class 'bee', which no training row has; add training rows, or correct it",
        ),
        (
            [*SPLIT, "d.png,cat,extra"],
            "",
            "line 5 of '{}' has 'extra' in the column 'split', but splits are train, val and test; correct it, name "
            "another column by ?split=COLUMN, or draw the test rows by ?test=SHARE",
        ),
        (
            SPLIT[:3],
            "",
            "the column 'split' of '{}' has train rows alone; mark rows as train and as test or val, or draw the test "
            "rows by ?test=SHARE",
        ),
        ([*SPLIT, "d.png,cat"], "", "line 5 of '{}' has 2 cells, but its first line names 3 columns; correct it"),
        (
            ["path;label", "a;x.png", "b.png,c;y"],
            "",
            "line 3 of '{}' has 2 cells, but its first line names 1 columns; correct it (cells of a .csv file are "
            "separated by commas, of a .tsv file by tabs)",
        ),
        (
            ["path;label", "a;x.png"],
            "",
            "'{}' has no column 'path'; name it by ?path=COLUMN, of path;label (cells of a .csv file are separated by "
            "commas, of a .tsv file by tabs)",
        ),
        (SPLIT[:1], "", "'{}' has no rows below a line with the names of its columns; add some"),
        ([], "", "'{}' has no rows below a line with the names of its columns; add some"),
        (
            ["name,label", "a.png,x"],
            "",
            "'{}' has no column 'path'; name it by ?path=COLUMN, of name, label",
        ),
        (
            ["path,image,label", "a.png,a.png,x"],
            "",
            "'{}' has several columns that may be the path: path, image; name it by ?path=COLUMN, of path, image, "
            "label",
        ),
        (SPLIT, "?label=kind", "'{}' has no column 'kind'; its columns are path, label, split"),
        (
            ["path,label,label", "a.png,x,y"],
            "?label=label",
            "'{}' has several columns 'label'; its columns are path, label, label",
        ),
        (
            ["path,label,split", "a.png,x|y,train", "b.png,x,train"],
            "",
            "line 2 of '{}' has the label 'x|y', a list; read several tags for each row by ?tags=label, or write "
            "classes without '|'",
        ),
        (
            ["path,label,split", "a.png,-2,train", "b.png,0,test"],
            "",
            "line 2 of '{}' has the label -2, but classes are numbered from 0; correct it",
        ),
        (SPLIT, "?label=label&tags=label", "?label and ?tags exclude each other; keep one of them"),
        (SPLIT, "?split=split&test=0.2", "?split and ?test exclude each other; keep one of them"),
        (SPLIT, "?separator=;", "?separator separates the tags of ?tags=COLUMN, which is missing; add it"),
        (
            SPLIT,
            "?root=/nowhere",
            "there is no folder '/nowhere'; name the folder of the images by ?root=FOLDER",
        ),
    ],
)
def test_what_it_refuses(tmp_path, lines, options, answer):
    path = written(tmp_path, lines)
    refused(answer.format(path), f"csv:{path}{options}")


@pytest.mark.parametrize(
    ("lines", "options", "answer"),
    [
        (
            ["path,red,big,split", "a.png,-1,0,train", "b.png,1,1,test"],
            "?label=red,big",
            "line 2 of '{}' has '-1' in 'red', but a tag is 1, 0, or an empty cell where it is unknown; correct it, or "
            "read one class for each row by ?label=COLUMN",
        ),
        (
            ["path,red,big,split", "a.png,1,0,train", "b.png,,,train", "c.png,1,1,test"],
            "?label=red,big",
            "line 3 of '{}' has no label, as 1 of 2 train rows; add the labels, or remove the rows",
        ),
        (
            ["path,what,split", "a.png,,train", "b.png,,test"],
            "?tags=what",
            "no training row of '{}' has a tag; name another column by ?tags=COLUMN",
        ),
        (SPLIT, "?label=label,", "cannot read ?label=label,: '' is empty or there twice"),
        (
            ["path,what,split", "a.png,x||y,train", "b.png,x,test"],
            "?tags=what",
            "line 2 of '{}' has an empty tag in 'what'; write TAG|TAG, or nothing",
        ),
        (
            ["path,what,split", "a.png,x,train", "b.png,y,train", "c.png,y|z,test"],
            "?tags=what",
            "line 4 of '{}' has the tag 'z', which no training row has; add training rows, or correct it",
        ),
    ],
)
def test_what_tags_it_refuses(tmp_path, lines, options, answer):
    path = written(tmp_path, lines)
    refused(answer.format(path), f"csv:{path}{options}", task="tag")


def test_all_missing_files_are_counted(tmp_path):
    path = written(tmp_path, ["path,label", *(f"{k}.png,x" for k in range(5)), ",x", "here.png,y"], images=False)
    save(tmp_path / "here.png")
    refused(
        f"6 of the 7 images of '{path}' do not exist: '0.png' in line 2, '1.png' in line 3, '2.png' in line 4, …; "
        f"correct the paths, which begin in '{tmp_path}', or name another folder by ?root=FOLDER",
        f"csv:{path}",
    )


def test_paths_below_another_folder_and_of_windows(tmp_path):
    lines = ["path,label,split", "in\\a.png,x,train", "in\\b.png,y,train", f"{tmp_path}/c.png,x,test"]
    path = written(tmp_path, lines, images=False)
    for k, name in enumerate(["deep/in/a", "deep/in/b", "c"]):
        save(tmp_path / f"{name}.png", k)
    splits = load(f"csv:{path}?root={tmp_path / 'deep'}")
    assert np.array_equal(splits.train.images[1].numpy(), channels_first(picture(1)))
    assert np.array_equal(splits.test.images[0].numpy(), channels_first(picture(2)))


def test_images_that_are_listed_twice_are_noted(tmp_path):
    notes = []
    path = written(tmp_path, [*SPLIT, "b.png,ant,train", "./c.png,cat,train"])
    load(f"csv:{path}", on_note=notes.append)
    assert notes == [
        f"2 images of {path} are listed more than once, 1 of them in several splits, such as ./c.png in lines 6 and 4"
    ]


def test_test_rows_without_labels_are_left_out(tmp_path):
    notes = []
    lines = [*SPLIT, "d.png,,test", "e.png,-1,test"]
    lines[3] = "c.png,cat,val"
    splits = load(f"csv:{written(tmp_path, lines)}", on_note=notes.append)
    assert (len(splits.train), splits.validation, len(splits.test)) == (2, None, 1)
    assert notes == [f"the test rows of {tmp_path / 'table.csv'} have no labels and are left out"]
    lines[3] = "c.png,,test"
    refused(
        f"no row of '{tmp_path / 'table.csv'}' is labelled beside the training rows; label some to test on",
        f"csv:{written(tmp_path, lines)}",
    )


def test_no_table(tmp_path):
    refused(
        f"'{tmp_path}' is a folder; csv:PATH is a file with a table, folder:PATH a folder of images", f"csv:{tmp_path}"
    )
    refused(
        f"there is no file '{tmp_path / 'no.csv'}'; csv:PATH is a table of paths and labels",
        f"csv:{tmp_path / 'no.csv'}",
    )
    (tmp_path / "latin.csv").write_bytes("path,label\nä.png,x".encode("latin-1"))
    with pytest.raises(UserError, match=r"cannot read .*latin.csv: it is no UTF-8 text"):
        load(f"csv:{tmp_path / 'latin.csv'}")
    (tmp_path / "open.csv").write_text('path,label\n"a.png,x\n')
    with pytest.raises(UserError, match=r"cannot read line 2 of '.*open.csv': unexpected end of data; put cells"):
        load(f"csv:{tmp_path / 'open.csv'}")


def test_the_fingerprint_is_of_the_table_and_its_images(tmp_path):
    spec = f"csv:{written(tmp_path, SPLIT)}"
    first = fingerprint(spec)
    assert first["count"] == 4
    assert load(spec).fingerprint == first
    save(tmp_path / "other.png", 9)
    assert fingerprint(spec) == first
    save(tmp_path / "b.png", 9)
    assert fingerprint(spec) != first


@pytest.mark.parametrize(
    ("options", "task"),
    [("", "classify"), ("?label=a", "classify"), ("?label=a,b", "tag"), ("?tags=a&separator=;", "tag")],
)
def test_the_options_say_the_task(options, task):
    assert task_of(f"csv:table.csv{options}") == task


def test_sources_are_inspected_without_torch():
    code = "import sys; from selfdistill.data.sources import task_of; task_of('csv:a.csv?tags=b'); "
    code += "assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_weights_are_of_the_training_rows_that_are_kept(tmp_path):
    lines = ["path,label,split,care", "a.png,x,train,2", "b.png,y,train,0.5", "c.png,x,test,none", "d.png,y,train,1e1"]
    path = written(tmp_path, lines)
    for decode in ("once", "stream"):
        splits = load(f"csv:{path}?weight=care", decode=decode)
        assert splits.train.weights.tolist() == [2, 0.5, 10]
        assert splits.test.weights is None
    kept = load(f"csv:{path}?weight=care", limit=2, seed=1)
    sources = [splits.train.images[k] for k in range(3)]
    rows = [next(k for k, each in enumerate(sources) if torch.equal(each, image)) for image in kept.train.images]
    assert kept.train.weights.tolist() == [(2, 0.5, 10)[k] for k in rows]
    assert load(f"csv:{path}").train.weights is None


@pytest.mark.parametrize("cell", ["", "0", "-1", "inf", "nan", "much"])
def test_weights_are_numbers_above_zero(tmp_path, cell):
    lines = ["path,label,split,w", "a.png,x,train,2", f"b.png,y,train,{cell}", "c.png,x,test,1"]
    path = written(tmp_path, lines)
    answer = f"line 3 of '{path}' has {cell!r} in 'w', but a weight is a number above 0; correct it"
    refused(answer, f"csv:{path}?weight=w")


def test_tags_have_no_weights(tmp_path):
    answer = "?weight weighs examples of one class each, but these labels are tags; leave it out"
    refused(answer, f"csv:{written(tmp_path, SPLIT)}?label=label,split&weight=path", task="tag")
