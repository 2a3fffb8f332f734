"""Predictions of folders, tables and files."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.metrics.ood import negative_energy
from selfdistill.predict import decoded_images, predict_images
from tests.helpers.image_files import save
from tests.helpers.small_runs import command


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_rows_of_a_folder(classifier, pictures, tmp_path, capsys):
    out = tmp_path / "out.csv"
    status, said, _ = command(capsys, "predict", classifier, pictures, "--out", out)
    assert (status, said) == (0, f"{out}: 40 images\n")
    rows, finished = table(out), sd.load(classifier)
    paths = sorted(pictures.rglob("*.png"))
    assert [row["path"] for row in rows] == [*map(str, paths)]
    inputs = torch.stack([finished.transform(each) for each in paths])
    shares = finished.probabilities(inputs)
    energies = negative_energy(finished.model(inputs).detach())
    for row, share, energy in zip(rows, shares, energies, strict=True):
        names = [("predicted", "probability"), *((f"top{k}", f"top{k}_probability") for k in range(2, 6))]
        assert [*row] == ["path", *(each for pair in names for each in pair), "negative_energy", "error"]
        ranked = [(row[name], float(row[share])) for name, share in names]
        wanted = share.topk(5)
        assert [name for name, _ in ranked] == [finished.classes[k] for k in wanted.indices]
        assert [value for _, value in ranked] == pytest.approx(wanted.values.tolist(), abs=1e-5)
        assert float(row["negative_energy"]) == pytest.approx(float(energy), rel=1e-4)
        assert row["error"] == ""


def test_rows_of_tables_and_files_are_in_the_order_given(classifier, pictures, tmp_path):
    lines = ["name,image", "x,pictures/b/21.png", f"y,{pictures}/a/03.png", "z,pictures\\a\\04.png"]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    places = [f"{tmp_path}/list.csv?path=image", pictures / "b" / "39.png"]
    found = predict_images(classifier, places, tmp_path / "out")
    assert found.path == tmp_path / "out" / "predictions.csv"
    names = [row["path"].rpartition("/")[2] for row in table(found.path)]
    assert names == ["21.png", "03.png", "04.png", "39.png"]
    assert predict_images(classifier, [tmp_path / "list.csv"]).path.parent == classifier / "predictions-list.csv"


def test_unreadable_images_have_a_row_and_are_counted(classifier, pictures, tmp_path, capsys):
    (pictures / "a" / "05.png").write_bytes(b"no image")
    (pictures / "b" / "39.png").write_bytes((pictures / "b" / "38.png").read_bytes()[:-40])
    status, said, _ = command(capsys, "predict", classifier, pictures, "--out", tmp_path / "o.csv")
    assert status == 0
    assert f"cannot read 2 of them: {pictures}/a/05.png (it has no known image format), " in said
    rows = table(tmp_path / "o.csv")
    assert [row["path"].rpartition("/")[2] for row in rows if row["error"]] == ["05.png", "39.png"]
    assert [rows[5][key] for key in ("predicted", "top5", "negative_energy")] == [""] * 3
    clean = predict_images(classifier, [pictures / "a" / "06.png"], tmp_path / "p.csv")
    assert table(clean.path)[0] == pytest.approx(rows[6])


def test_tags_and_masks(tagger, segmenter, pictures, tmp_path):
    rows = table(predict_images(tagger, [pictures], tmp_path / "tags").path)
    tags = sd.load(tagger).classes
    for row in rows:
        assert row["predicted"] == "|".join(name for name in tags if float(row[name]) > 0.5)
    save(pictures / "c.png", 99, 32, 24)
    (pictures / "b" / "20.png").write_bytes(b"")
    rows = table(predict_images(segmenter, [pictures], tmp_path / "masks").path)
    assert [row["mask"] for row in rows if row["error"]] == [""]
    for row in (row for row in rows if row["mask"]):
        with Image.open(tmp_path / "masks" / row["mask"]) as mask, Image.open(row["path"]) as image:
            assert mask.size == image.size
    last = sd.load(segmenter).predict([pictures / "c.png"])[0].argmax(dim=0)
    with Image.open(tmp_path / "masks" / rows[-1]["mask"]) as mask:
        assert np.array_equal(np.asarray(mask), last.numpy())


def test_test_time_augmentation_averages_views(classifier, pictures, tmp_path):
    finished, path = sd.load(classifier), pictures / "a" / "00.png"
    large = finished.transform.pixels(path, 9)
    crops = [large[:, i : i + 8, j : j + 8] for i, j in ((0, 0), (0, 1), (1, 0), (1, 1), (0, 0))]
    own = finished.transform.pixels(path)
    views = {
        "flip": [own, own.flip(-1)],
        "five-crop": crops,
        "ten-crop": [*crops, *(each.flip(-1) for each in crops)],
    }
    for name, each in views.items():
        row = table(predict_images(classifier, [path], tmp_path / f"{name}.csv", tta=name).path)[0]
        assert float(row["probability"]) == pytest.approx(float(finished.predict(each).mean(dim=0).max()), abs=2e-6)


def test_a_mirrored_mask_is_turned_back(segmenter, pictures, tmp_path):
    finished, path = sd.load(segmenter), pictures / "a" / "00.png"
    pixels = finished.transform.pixels(path)
    both = finished.predict([pixels]) + finished.predict([pixels.flip(-1)]).flip(-1)
    predict_images(segmenter, [path], tmp_path / "out", tta="flip")
    with Image.open(tmp_path / "out" / "000000.png") as mask:
        assert np.array_equal(np.asarray(mask), both.argmax(dim=1)[0].numpy())


def test_few_batches_are_decoded_ahead(classifier, pictures, monkeypatch):
    read = []
    monkeypatch.setattr(decoded_images, "_read", lambda path, *_: read.append(path))
    paths = iter(sorted(pictures.rglob("*.png")))
    next(decoded_images.decoded(paths, sd.load(classifier).transform, 8, rows=4))
    assert len(list(paths)) == 40 - 3 * 4  # of an endless source, three batches are taken
    assert len(read) <= 12


def test_a_formula_in_a_name_stays_text(classifier, tmp_path, monkeypatch):
    save(tmp_path / "=1+1.png")
    monkeypatch.chdir(tmp_path)
    assert table(predict_images(classifier, ["=1+1.png"], "o.csv").path)[0]["path"] == "'=1+1.png"


def test_a_failure_leaves_the_old_table(classifier, pictures, tmp_path):
    (tmp_path / "o.csv").write_text("old")
    (tmp_path / "bad.png").write_bytes(b"x")
    with pytest.raises(UserError, match="none of the 1 images can be read: .*bad.png"):
        predict_images(classifier, [tmp_path / "bad.png"], tmp_path / "o.csv")
    assert (tmp_path / "o.csv").read_text() == "old"
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["{here}/none"], "there is no '{here}/none'; name folders of images"),
        (["{here}/none.csv"], "there is no table '{here}/none.csv'"),
        (["{here}/a.txt"], "'{here}/a.txt' is no image by its ending; name folders"),
        (["{here}/empty"], "the folder '{here}/empty' has no images, but 1 file (1 .txt), such as a.txt; name another"),
        (["{here}/t.csv"], "has no column 'path'; name it by ?path=COLUMN, of a, b"),
        (["{here}/t.csv?label=a"], "cannot read ?label=a; the options are ?path=COLUMN, ?root=FOLDER"),
        (["{here}/p.png", "--tta", "wild"], "there is no test-time augmentation 'wild'; there are none, flip,"),
        (["{here}/p.png", "--data", "digits"], "--data predicts the test examples of a data set; leave it out, or"),
        (["--tta", "flip"], "--tta is for images that are named: selfdistill predict RUN FOLDER --tta flip"),
    ],
)
def test_mistakes_are_answered(classifier, tmp_path, capsys, words, wrong):
    (tmp_path / "empty").mkdir()
    for name in ("a.txt", "empty/a.txt"):
        (tmp_path / name).write_text("text")
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    save(tmp_path / "p.png")
    status, _, said = command(capsys, "predict", classifier, *(word.format(here=tmp_path) for word in words))
    assert status == 2
    assert wrong.format(here=tmp_path) in said


def test_masks_need_a_folder_and_whole_images(segmenter, pictures, tmp_path):
    with pytest.raises(UserError, match=r"masks are files beside the table, but --out '.*o.csv' is one file"):
        predict_images(segmenter, [pictures], tmp_path / "o.csv")
    with pytest.raises(UserError, match="five-crop classifies crops of an image, but this run predicts masks"):
        predict_images(segmenter, [pictures], tta="five-crop")
