"""A share of the training images as the test set, for each kind of data without one."""

import pytest
import torch

from selfdistill.data import load
from selfdistill.errors import UserError
from tests.helpers.image_files import class_folders, encoded, save, table, write


def share_of(spec, **options):
    notes = []
    return load(spec, test=0.2, on_note=notes.append, **options), notes


def refused(spec, **options):
    with pytest.raises(UserError) as caught:
        share_of(spec, **options)
    return str(caught.value)


def rows(count, first=0, **labels):
    return table([encoded(first + k) for k in range(count)], label=[k % 2 for k in range(count)], **labels)


def test_flat_class_folders(tmp_path):
    root = class_folders(tmp_path, {"ant": 15, "cat": 5})
    splits, notes = share_of(f"folder:{root}")
    assert splits.classes == ("ant", "cat")
    assert splits.train.labels.bincount().tolist() == [12, 4]
    assert splits.test.labels.bincount().tolist() == [3, 1]
    assert notes == [f"4 of the 20 images of '{root}', the same in every run, are the test set"]
    with pytest.raises(UserError, match=r"has no train folder, it holds ant, cat; .* by --test 0.2"):
        load(f"folder:{root}")


def test_it_is_the_same_for_all_seeds_and_subsets(tmp_path):
    root = class_folders(tmp_path, {"ant": 15, "cat": 5})
    first, _ = share_of(f"folder:{root}")
    other, _ = share_of(f"folder:{root}", seed=3, limit=10, validation=0.2)
    assert torch.equal(first.test.images, other.test.images)
    seen = [each.numpy().tobytes() for part in (other.train, other.validation, first.test) for each in part.images]
    assert len(set(seen)) == 14


def test_a_train_folder_alone_and_one_with_a_validation_folder(tmp_path):
    root = class_folders(tmp_path, {"train/a": 10, "train/b": 10})
    splits, _ = share_of(f"folder:{root}")
    assert [len(splits.train), splits.validation, len(splits.test)] == [16, None, 4]
    class_folders(tmp_path, {"valid/a": 2, "valid/b": 1}, first=900)
    splits, _ = share_of(f"folder:{root}")
    assert [len(each) for each in (splits.train, splits.validation, splits.test)] == [16, 3, 4]
    class_folders(tmp_path, {"test/a": 1, "test/b": 1}, first=1900)
    assert refused(f"folder:{root}") == f"'{root}' has test images, so there is nothing to draw; leave out --test"


def test_every_class_stays_in_training(tmp_path):
    root = class_folders(tmp_path, {name: 1 + (name == "a") for name in "abcdefgh"})
    splits, _ = share_of(f"folder:{root}")
    assert splits.train.labels.bincount().tolist() == [1] * 8
    assert splits.test.labels.tolist() == [0]


def test_nested_and_empty_class_folders_are_answered(tmp_path):
    root = class_folders(tmp_path, {"fruit/apple": 6, "fruit/pear": 6, "nut/hazel": 6})
    assert "the classes" not in (answer := refused(f"folder:{root}"))
    assert "add ?classes=leaf to --data" in answer
    assert share_of(f"folder:{root}?classes=leaf")[0].classes == ("fruit/apple", "fruit/pear", "nut/hazel")
    save(tmp_path / "loose" / "a.png")
    assert "has no class folders with images" in refused(f"folder:{tmp_path / 'loose'}")


def test_numbers_of_folders_get_the_names_beside_them(tmp_path):
    root = class_folders(tmp_path, {f"{split}/{k}": 2 for split in ("train", "test") for k in (10, 9)})
    assert load(f"folder:{root}").classes == ("10", "9")
    (root / "cat_to_name.json").write_text('{"9": "rose", "10": "lily", "11": "none"}')
    splits = load(f"folder:{root}")
    assert splits.classes == ("lily", "rose")
    assert splits.train.labels.tolist() == [0, 0, 1, 1]
    (root / "cat_to_name.json").write_text('{"9": "rose"}')
    with pytest.raises(UserError, match=r"the class '10' of .* has no name in the file of names, which has those of 9"):
        load(f"folder:{root}")
    (root / "other.json").write_text('{"9": "tulip", "10": "iris"}')
    assert load(f"folder:{root}?names=other.json").classes == ("iris", "tulip")


def test_a_parquet_set_without_test_files(tmp_path):
    write(tmp_path / "train.parquet", rows(20, patient=[k // 4 for k in range(20)]))
    splits, notes = share_of(f"parquet:{tmp_path}")
    assert [len(splits.train), splits.validation, len(splits.test)] == [16, None, 4]
    assert notes == [f"4 of the 20 images of parquet:{tmp_path}, the same in every run, are the test set"]
    grouped, _ = share_of(f"parquet:{tmp_path}?group=patient", validation=0.25)
    parts = (grouped.train, grouped.validation, grouped.test)
    assert [len(each) for each in parts] == [12, 4, 4]
    whole = load_rows(tmp_path)
    patients = [{whole[each.numpy().tobytes()] // 4 for each in part.images} for part in parts]
    assert sum(map(len, patients)) == 5
    assert "has no column 'x', but img, label, patient" in refused(f"parquet:{tmp_path}?group=x")


def load_rows(root):
    """Row of each image by its pixels."""
    splits, _ = share_of(f"parquet:{root}")
    order = {}
    for k in range(20):
        pixels = encoded(k)
        order[decoded(pixels)] = k
    assert {each.numpy().tobytes() for part in (splits.train, splits.test) for each in part.images} == set(order)
    return order


def decoded(data):
    import io

    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1)).tobytes()


def test_parquet_validation_files_stay_validation(tmp_path):
    write(tmp_path / "train.parquet", rows(20))
    write(tmp_path / "validation.parquet", rows(4, first=50))
    splits, _ = share_of(f"parquet:{tmp_path}")
    assert [len(each) for each in (splits.train, splits.validation, splits.test)] == [16, 4, 4]
    write(tmp_path / "test.parquet", rows(4, first=70))
    assert "has test images, so there is nothing to draw" in refused(f"parquet:{tmp_path}")


def csv(root, header="path,label", row="{k:02}.png,{c}", count=20):
    lines = [header, *(row.format(k=k, c="ab"[k % 4 == 0], g=k // 4) for k in range(count))]
    for k in range(count):
        save(root / f"{k:02}.png", k)
    (root / "table.csv").write_text("\n".join(lines))
    return root / "table.csv"


def test_a_table_draws_as_its_own_option_does(tmp_path):
    path = csv(tmp_path)
    drawn, notes = share_of(f"csv:{path}")
    assert notes == ["4 of the 20 rows, the same in every run, are the test set"]
    assert torch.equal(drawn.test.images, load(f"csv:{path}?test=0.2", on_note=notes.append).test.images)
    assert notes[0] == notes[1]
    assert refused(f"csv:{path}?test=0.3") == "--test 0.2 and ?test=0.3 both draw test rows; keep one of them"


def test_training_rows_of_a_table_are_drawn_in_whole_groups(tmp_path):
    path = csv(tmp_path, "path,label,patient,split", "{k:02}.png,{c},{g},train")
    splits, notes = share_of(f"csv:{path}?group=patient")
    assert [len(splits.train), splits.validation, len(splits.test)] == [16, None, 4]
    assert notes == ["4 of the 20 training rows, in whole groups, the same in every run, are the test set"]
    path.write_text(path.read_text().replace("19.png,a,4,train", "19.png,a,9,val"))
    splits, _ = share_of(f"csv:{path}")
    assert [len(each) for each in (splits.train, splits.validation, splits.test)] == [15, 1, 4]
    path.write_text(path.read_text().replace("val", "test"))
    assert refused(f"csv:{path}") == f"'{path}' has test rows, so there is nothing to draw; leave out --test"


def test_data_with_a_test_part_refuse_it():
    assert refused("fake").startswith(
        "fake has its own test part, so --test has nothing to draw; it is for digits, parquet:PATH, "
    )


def test_digits_draw_another_share_than_theirs():
    splits, notes = share_of("digits")
    assert (len(splits.train), len(splits.test)) == (1438, 359)
    assert notes == ["359 of the 1797 images of digits, the same in every run, are the test set"]


def test_labels_with_fractions_are_no_classes(tmp_path):
    path = csv(tmp_path, row="{k:02}.png,0.{g}")
    assert refused(f"csv:{path}") == (
        f"line 6 of '{path}' has the label 0.1, but classes are whole numbers or names; name another column by "
        "?label=COLUMN"
    )
