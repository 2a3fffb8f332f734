import numpy as np
import pytest
import torch
from PIL import Image

from selfdistill.data import Augmentation, Images, Loader, load
from selfdistill.data.crop_reader import CropReader, read_crop
from selfdistill.data.image_augment import ImageAugmentation
from selfdistill.data.lazy import LazyImages
from selfdistill.data.requirements import ExtraAugmentation, PlainView, SameClassImage, StrongView
from selfdistill.data.rgb import ORIENTATION
from selfdistill.errors import UserError
from tests.helpers.image_files import class_folders

SIDE = 16
CROPS = ImageAugmentation((0.08, 1.0))
GREY = ((0.5,) * 3, (0.25,) * 3)


def scene(width, height):
    """A smooth picture, as photographs are."""
    x, y = np.meshgrid(np.linspace(0, 3, width), np.linspace(0, 2, height))
    waves = [np.sin(x * 2 + y), np.cos(y * 3), np.sin(x * y)]
    return Image.fromarray((127 + 120 * np.stack(waves, axis=-1)).astype(np.uint8))


def written(folder, form="jpg", turned=1, count=1):
    paths = []
    for number in range(count):
        exif = Image.Exif()
        exif[ORIENTATION] = turned
        paths.append(folder / f"{number}.{form}")
        scene(200 + 10 * number, 120).save(paths[-1], exif=exif, **({"quality": 95} if form == "jpg" else {}))
    return LazyImages(paths, [path.name for path in paths], SIDE)


def upright(image, turned):
    flips = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_270, 8: Image.Transpose.ROTATE_90}
    return image if flips[turned] is None else image.transpose(flips[turned])


@pytest.mark.parametrize("turned", [1, 3, 6, 8])
@pytest.mark.parametrize("form", ["jpg", "png"])
def test_a_crop_is_that_of_the_whole_upright_image(tmp_path, form, turned):
    images = written(tmp_path, form, turned)
    whole = upright(scene(200, 120), turned)
    for key in range(12):
        top, left, height, width = CROPS.box(whole.height, whole.width, key)
        box = (left, top, left + width, top + height)
        wanted = np.asarray(whole.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box))
        found = read_crop(images, 0, key, CROPS)
        assert found.shape == (SIDE, SIDE, 3)
        away = np.abs(found.astype(int) - wanted)
        assert away.mean() < (6 if form == "jpg" else 0.3)  # edges are at pixels of a JPEG as decoded


def test_large_crops_of_a_jpeg_are_decoded_small(tmp_path, monkeypatch):
    images, sizes = written(tmp_path), []
    crop = Image.Image.crop
    monkeypatch.setattr(Image.Image, "crop", lambda self, *a, **k: sizes.append(self.size) or crop(self, *a, **k))
    read_crop(images, 0, 0, ImageAugmentation((1.0, 1.0)))
    read_crop(images, 0, 0, ImageAugmentation((0.02, 0.02)))
    assert sizes == [(50, 30), (200, 120)]


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_batches_are_the_same_for_all_numbers_of_workers_and_methods(tmp_path, workers):
    images = Images(written(tmp_path, count=12), torch.arange(12) % 2)
    augment = Augmentation(0, True, *GREY, ImageAugmentation((0.3, 1.0), "randaugment", 0.2, 0.5))
    needs = {"twin": ExtraAugmentation(), "peer": SameClassImage(), "strong": StrongView(), "plain": PlainView()}
    plain = Loader(images, 4, augment=augment, workers=0)
    other = Loader(images, 4, augment=augment, workers=workers, needs=needs)
    for one, two in zip(plain.epoch(1), other.epoch(1), strict=True):
        assert one.inputs.equal(two.inputs)
        assert not two.extra["twin"].equal(two.inputs)
        assert not two.extra["peer"].equal(two.inputs)
        assert not two.extra["strong"].equal(two.inputs)
        assert two.extra["plain"].equal(augment.plain(images.images[two.index]))
    third = list(plain.epoch(1))[2]
    assert third.inputs.equal(next(Loader(images, 4, augment=augment, workers=workers).epoch(1, start=2)).inputs)
    parts = [next(Loader(images, 4, augment=augment, rank=rank, ranks=2).epoch(1, start=2)) for rank in range(2)]
    assert torch.cat([each.inputs for each in parts]).equal(third.inputs)


@pytest.mark.parametrize("policy", [None, "randaugment"])
def test_all_views_are_read_ahead(tmp_path, policy):
    images = Images(written(tmp_path, count=12), torch.arange(12) % 2)
    augment = Augmentation(0, False, *GREY, ImageAugmentation((0.3, 1.0), policy))
    needs = {"strong": StrongView(), "plain": PlainView()}
    loader = Loader(images, 4, augment=augment, workers=1, needs=needs)
    first = next(loader.epoch(0))
    crops, whole = loader.crops._pending, images.images._pending
    ahead = loader.order.rows(0)[4:12]
    for stream in ("augment", "strong"):
        keys = loader._params(0, stream).keys[4:12].tolist()
        assert set(zip(ahead.tolist(), keys, strict=True)) <= crops.keys()
    assert set(ahead.tolist()) <= whole.keys()
    strong = ImageAugmentation((0.3, 1.0), "randaugment")
    keys = loader._params(0, "strong").keys[:4].tolist()
    wanted = [read_crop(images.images, row, key, strong) for row, key in zip(first.index.tolist(), keys, strict=True)]
    assert first.extra["strong"].equal(augment.plain(torch.from_numpy(np.stack(wanted)).permute(0, 3, 1, 2)))


def test_what_is_read_is_forgotten(tmp_path):
    images = Images(written(tmp_path, count=12), torch.arange(12) % 2)
    loader = Loader(images, 4, augment=Augmentation(0, False, *GREY, CROPS), workers=2)
    for epoch in range(3):
        for _ in loader.epoch(epoch):
            assert len(loader.crops._pending) <= 8  # two batches ahead


def test_crops_that_nobody_reads_are_dropped(tmp_path):
    reader = CropReader(written(tmp_path, count=1), workers=1)
    for key in range(100):
        reader.prefetch(torch.tensor([0]), torch.tensor([key]), CROPS)
    assert len(reader._pending) == 32


def test_training_files_stay_files_and_the_others_are_decoded(tmp_path):
    class_folders(tmp_path, {"train/a": 3, "train/b": 3, "test/a": 1, "test/b": 1}, size=40)
    splits = load(f"folder:{tmp_path}", size=SIDE, crops=True)
    assert isinstance(splits.train.images, LazyImages)
    assert isinstance(splits.test.images, torch.Tensor)
    with pytest.raises(UserError, match="random resized crops are read from the files at each epoch; leave --decode"):
        load(f"folder:{tmp_path}", size=SIDE, crops=True, decode="once")


def test_an_unreadable_file_is_named(tmp_path):
    images = written(tmp_path)
    images.sources[0].write_bytes(b"")
    with pytest.raises(UserError, match=r"cannot read the image 0\.jpg: it is empty"):
        CropReader(images).read(torch.tensor([0]), torch.tensor([1]), CROPS)
