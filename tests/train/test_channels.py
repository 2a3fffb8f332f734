"""Runs on images of other numbers of channels than three, and of 16 bits."""

from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile
import torch
from PIL import Image

from selfdistill import data
from selfdistill.data.grey import to_grey
from selfdistill.data.kinds import load_data
from selfdistill.errors import UserError
from selfdistill.predict import predict
from selfdistill.predict.finished_run import load
from selfdistill.train.config import RunConfig
from selfdistill.train.networks import load_run, trained_channels
from selfdistill.train.run import run
from tests.helpers.small_runs import command, weights


def images(channels, rows=48, seed=0):
    """Images of 16 bits whose class is the brightness of their last channel."""
    draws = np.random.default_rng(seed)
    labels = np.arange(rows) % 2
    values = draws.integers(20_000, 24_000, (rows, channels, 8, 8))
    values[:, -1] += 3_000 * labels[:, None, None]
    return values.astype(np.uint16), labels


@pytest.fixture(params=[1, 5])
def spec(request, tmp_path):
    (train, labels), (test, wanted) = images(request.param), images(request.param, 24, seed=1)
    np.savez(tmp_path / "data.npz", x_train=train, y_train=labels, x_test=test, y_test=wanted)
    return f"tensors:{tmp_path / 'data.npz'}?channels=first", request.param


@pytest.mark.parametrize("method", ["ce()", "drg() + dsr()", "mixup()", "byot()", "cs_kd()"])
def test_a_run_has_the_channels_of_its_data(spec, tmp_path, method):
    name, channels = spec
    config = RunConfig(method, data=name, model="resnet8", epochs=6, batch_size=16, lr=0.05, accelerator="cpu")
    result = run(config, tmp_path / "run")
    network, info = load_run(tmp_path / "run")
    assert trained_channels(info) == channels
    assert network(torch.zeros(2, channels, 8, 8)).shape == (2, 2)
    if method == "ce()":
        assert result["top1"] > 90  # a range of 3,000 of the 65,536 values is kept


def test_sixteen_bits_are_kept(spec):
    splits = load_data(spec[0], "classify", on_note=lambda _: None)
    assert splits.train.inputs.dtype == torch.float32
    assert len(splits.train.inputs.unique()) > 2_000


def test_digits_have_three_channels_as_before():
    assert data.load("digits", limit=20).train.images.shape[1] == 3


def grey_folder(place, rows=20):
    """A folder of grey pictures in two classes, and the same pictures with a tint."""
    draws = np.random.default_rng(0)
    for split in ("train", "test"):
        for label, name in enumerate(("dark", "light")):
            (place / split / name).mkdir(parents=True)
            for k in range(rows):
                values = draws.integers(100 * label, 100 * label + 90, (12, 12)).astype(np.uint8)
                Image.fromarray(values).save(place / split / name / f"{k}.png")
    return f"folder:{place}"


def grey(spec, **changes):
    return RunConfig(
        "ce()", **{"data": spec, "epochs": 2, "batch_size": 8, "accelerator": "cpu", "channels": 1} | changes
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return grey_folder(tmp_path_factory.mktemp("grey"))


@pytest.mark.parametrize("decode", ["once", "stream"])
def test_grey_files_have_one_channel_of_their_own_values(folder, decode):
    one, three = data.load(folder, channels=1, decode=decode), data.load(folder, decode="once")
    assert one.train.images.shape == (40, 1, 12, 12)
    assert torch.equal(one.train.images[:], three.train.images[:, :1])
    assert torch.equal(one.train.rows(torch.tensor([3, 1])).images[:], three.train.images[[3, 1], :1])
    assert (*one.mean, *one.std) == pytest.approx((three.mean[0], three.std[0]))


def test_luminance_is_pillows():
    colors = torch.randint(0, 256, (2, 3, 9, 9), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for image, found in zip(colors, to_grey(colors), strict=True):
        wanted = Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L")
        assert np.array_equal(found[0].numpy(), np.asarray(wanted))


def test_decoding_once_and_on_access_train_the_same_network(folder, tmp_path):
    for decode in ("once", "stream"):
        run(grey(folder, decode=decode), tmp_path / decode)
    assert weights(tmp_path / "once") == weights(tmp_path / "stream")


def test_a_grey_run_is_trained_evaluated_predicted_and_exported(folder, tmp_path, capsys):
    result = run(grey(folder, epochs=4), tmp_path / "run")
    assert result["top1"] > 90
    network, info = load_run(tmp_path / "run")
    assert (len(info["mean"]), trained_channels(info)) == (1, 1)
    assert network(torch.zeros(2, 1, 12, 12)).shape == (2, 2)
    assert predict(tmp_path / "run")[0].is_file()
    dark, *_ = data.load(folder, channels=1).test.images[:]
    file = Path(folder.partition(":")[2]) / "test" / "dark" / "0.png"
    finished = load(tmp_path / "run")
    assert torch.equal(finished.transform.pixels(file), dark)
    assert finished.predict([file]).argmax() == 0
    words = ("evaluate", tmp_path / "run", "--metrics", "basic", "classes", "fgsm", "--ood", "fake:size=12")
    status, out, error = command(capsys, *words, "--accelerator", "cpu")
    assert (status, error) == (0, "")
    assert "balanced_accuracy" in out
    status, _, error = command(capsys, "evaluate", tmp_path / "run", "--metrics", "corruption", "--accelerator", "cpu")
    assert status == 2
    assert "the metric corruption changes colors, but the images of" in error


def test_a_stored_network_of_colors_starts_a_grey_run(folder, tmp_path):
    run(grey(folder, channels=None, epochs=1), tmp_path / "colors")
    start = str(tmp_path / "colors" / "student.safetensors")
    assert run(grey(folder, epochs=1, weights=start), tmp_path / "grey")["parameters"] > 0


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"channels": 2}, r"0\.png has 1 channel, not 2; pass --channels 1"),
        ({"bits": 12}, "bits must be 8 or 16, but is 12"),
        ({"bits": 16, "jitter": 0.2}, "bits must be 8 with a policy or a jitter of colors"),
        ({"channels": 4, "augment": "cifar:randaugment"}, "channels must be 1 or 3 with a policy"),
        ({"data": "digits", "channels": 4}, "digits has pixels of 3 channels and 8 bits; leave --bits out"),
        (
            {"data": "shapes:segment,size=16,train=8,test=4", "model": "unet-4"},
            "--channels and --bits are for image .* has masks",
        ),
        ({"method": "sla(transform='color')"}, "images of 1 channels have no colors to permute"),
    ],
)
def test_what_does_not_fit_is_refused(folder, tmp_path, changes, why):
    method = changes.pop("method", "ce()")
    with pytest.raises(UserError, match=why):
        run(replace(grey(folder, **changes), method=method), tmp_path / "run")


def test_a_teacher_of_other_channels_is_refused(folder, tmp_path):
    run(grey(folder, channels=None, epochs=1), tmp_path / "colors")
    with pytest.raises(UserError, match=r"the teacher reads images of 3 channel\(s\), but the data have 1; train"):
        run(replace(grey(folder), method=f"kd(teacher={str(tmp_path / 'colors')!r})"), tmp_path / "grey")


def drawn_files(place, channels, bits, ending="tif", rows=16):
    """A folder of files whose class is the brightness of their last channel, in its lower bits."""
    draws, top = np.random.default_rng(0), 2**bits
    for split in ("train", "test"):
        for label, name in enumerate(("dark", "light")):
            (place / split / name).mkdir(parents=True)
            for k in range(rows):
                values = draws.integers(0, top, (12, 12, channels))
                values[..., -1] = top // 2 + draws.integers(0, 60, (12, 12)) + 100 * label * (bits > 8) + 30 * label
                _write(place / split / name / f"{k}.{ending}", values.astype(f"uint{bits}"))
    return f"folder:{place}"


def _write(path, values):
    if path.suffix == ".png" and values.dtype == np.uint16:
        path.write_bytes(imagecodecs.png_encode(values))
    elif path.suffix == ".png":
        Image.fromarray(values).save(path)
    else:
        tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig")


FORMATS = [(4, 8, "png"), (3, 16, "png"), (6, 16, "tif")]


@pytest.mark.parametrize(("channels", "bits", "ending"), FORMATS)
def test_files_of_any_channels_and_bits_are_trained_evaluated_and_predicted(tmp_path, capsys, channels, bits, ending):
    spec = drawn_files(tmp_path / "data", channels, bits, ending)
    config = grey(spec, channels=channels, bits=bits, epochs=8, augment="none", lr=0.05)
    result = run(config, tmp_path / "run")
    assert result["top1"] == 100
    finished = load(tmp_path / "run")
    assert finished.transform.form == (channels, bits)
    assert len(finished.info["mean"]) == channels
    test = data.load(spec, channels=channels, bits=bits).test
    file = tmp_path / "data" / "test" / "dark" / f"0.{ending}"
    assert torch.equal(finished.transform.pixels(file), test.images[0])
    assert torch.equal(finished.transform(test.images[0]), finished.transform(file))
    assert predict(tmp_path / "run")[0].is_file()
    status, _, error = command(
        capsys, "evaluate", tmp_path / "run", "--metrics", "basic", "cost", "--accelerator", "cpu"
    )
    assert (status, error) == (0, "")
    if channels != 3:
        status, _, error = command(capsys, "evaluate", tmp_path / "run", "--metrics", "corruption")
        assert (status, f"are read with {channels} channel(s)" in error) == (2, True)
    if bits == 16:
        status, _, error = command(capsys, "evaluate", tmp_path / "run", "--metrics", "fgsm")
        assert (status, "changes pixels of 8 bits, but the images of" in error) == (2, True)


@pytest.mark.parametrize(("channels", "bits"), [(1, 8), (4, 8), (6, 16)])
def test_random_resized_crops_have_the_channels_of_the_run(tmp_path, channels, bits):
    spec = drawn_files(tmp_path / "data", max(channels, 3), bits, "png" if channels < 6 else "tif")
    config = grey(spec, channels=channels, bits=bits, epochs=1, augment="imagenet", erase=0.5)
    trained = {}
    for workers in (0, 2):
        run(replace(config, decode_workers=workers), tmp_path / f"{workers}")
        trained[workers] = weights(tmp_path / f"{workers}")
    assert trained[0] == trained[2]


def test_a_grey_run_takes_a_policy_and_jitter(folder, tmp_path):
    config = grey(folder, epochs=1, augment="imagenet:randaugment", jitter=0.4)
    assert run(config, tmp_path / "run")["parameters"] > 0


def test_decoding_once_and_on_access_give_the_same_pixels(tmp_path):
    spec = drawn_files(tmp_path, 6, 16)
    once, stream = (data.load(spec, channels=6, bits=16, size=8, decode=decode) for decode in ("once", "stream"))
    assert torch.equal(once.train.images[:], stream.train.images[:])
    assert once.train.images.dtype == torch.int32
    assert once.mean == stream.mean
    values = once.train.images[:].double() / 65535
    assert once.mean == pytest.approx(values.mean(dim=(0, 2, 3)).tolist())
    assert once.std == pytest.approx(values.std(dim=(0, 2, 3), correction=0).tolist())


def test_tables_and_lists_and_parquet_have_the_channels_too(tmp_path):
    drawn_files(tmp_path / "data", 4, 16, "png")
    rows = [
        (f"data/{split}/{name}/{k}.png", name, split)
        for split in ("train", "test")
        for name in ("dark", "light")
        for k in range(16)
    ]
    (tmp_path / "all.csv").write_text("path,label,split\n" + "\n".join(map(",".join, rows)))
    for split in ("train", "test"):
        lines = [f"{path} {int(name == 'light')}" for path, name, part in rows if part == split]
        (tmp_path / f"{split}.txt").write_text("\n".join(lines))
        cells = [{"bytes": (tmp_path / path).read_bytes(), "path": None} for path, _, part in rows if part == split]
        labels = [name for _, name, part in rows if part == split]
        pq.write_table(pa.table({"image": cells, "label": labels}), tmp_path / f"{split}-0.parquet")
    wanted = data.load(f"folder:{tmp_path / 'data'}", channels=4, bits=16).train.images[:]
    for spec in (f"csv:{tmp_path / 'all.csv'}", f"list:{tmp_path}", f"parquet:{tmp_path}"):
        assert torch.equal(data.load(spec, channels=4, bits=16).train.images[:].sum(0), wanted.sum(0)), spec


def test_less_than_is_stored_is_noted(tmp_path):
    with pytest.warns(UserWarning, match="more than 8 bits a channel and are read with 8; --bits 16 reads"):
        data.load(drawn_files(tmp_path / "deep", 3, 16, "png"))
    spec = drawn_files(tmp_path / "six", 6, 8)
    with pytest.raises(UserError, match="TIFF of channels or bits that no viewer shows"):
        data.load(spec)


def test_arrays_are_augmented_and_evaluated_without(spec, tmp_path):
    name, channels = spec
    config = RunConfig("dlb()", data=name, model="resnet8", epochs=1, batch_size=16, accelerator="cpu")
    run(config, tmp_path / "plain")
    run(replace(config, augment="imagenet", erase=0.5), tmp_path / "views")
    assert weights(tmp_path / "plain") != weights(tmp_path / "views")
    _, info = load_run(tmp_path / "views")
    assert len(info["mean"][""]) == channels
