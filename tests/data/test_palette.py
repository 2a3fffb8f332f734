import numpy as np
import pytest
import torch
from PIL import Image

from selfdistill.data.decode_mask import MaskFormat, decode_mask
from selfdistill.data.load_segmentation import load_masks
from selfdistill.data.palette import PALETTE, class_color, write_mask
from selfdistill.errors import UserError
from tests.helpers.image_files import save

VOC = [  # as published with the data set
    *[(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128), (128, 128, 128)],
    *[(64, 0, 0), (192, 0, 0), (64, 128, 0), (192, 128, 0), (64, 0, 128), (192, 0, 128), (64, 128, 128)],
    *[(192, 128, 128), (0, 64, 0), (128, 64, 0), (0, 192, 0), (128, 192, 0), (0, 64, 128)],
]


def test_colors_are_those_of_voc_and_all_differ():
    assert [class_color(k) for k in range(21)] == VOC
    assert class_color(255) == (224, 224, 192)  # of its outlines
    assert len({*map(tuple, PALETTE.tolist())}) == 256


@pytest.mark.parametrize("dtype", [torch.int16, torch.int64, torch.uint8])
def test_a_mask_is_read_back(tmp_path, dtype):
    ids = torch.randint(0, 255, (7, 5), generator=torch.Generator().manual_seed(0)).to(dtype)
    if dtype != torch.uint8:
        ids[0, 0] = -100
    write_mask(tmp_path / "a.png", ids)
    assert np.array_equal(decode_mask(tmp_path / "a.png", "a.png", MaskFormat()), ids.numpy())
    image = Image.open(tmp_path / "a.png")
    assert image.mode == "P"
    assert image.convert("RGB").getpixel((4, 3)) == class_color(int(ids[3, 4]))
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]


def test_masks_are_data_again(tmp_path):
    for split in ("train", "val"):
        save(tmp_path / split / "images" / "a.png", size=6)
        (tmp_path / split / "masks").mkdir()
        write_mask(tmp_path / split / "masks" / "a.png", torch.tensor([[0, 1, 2, -100, 0, 0]]).expand(6, 6))
    splits = load_masks(f"masks:{tmp_path}")
    assert splits.train[0].mask[0].tolist() == [0, 1, 2, -100, 0, 0]
    assert len(splits.classes) == 3


@pytest.mark.parametrize(
    ("ids", "answer"),
    [
        (torch.tensor([[255]]), "a palette PNG holds class ids from 0 to 254, but this mask has 255"),
        (torch.tensor([[-1]]), "a palette PNG holds class ids from 0 to 254, but this mask has -1"),
        (
            torch.zeros(1, 2, 2, dtype=torch.long),
            "a mask has integers [H, W], but this is int64 [1, 2, 2]; pass the class of each pixel",
        ),
        (
            torch.zeros(2, 2),
            "a mask has integers [H, W], but this is float32 [2, 2]; pass the class of each pixel",
        ),
    ],
)
def test_what_is_no_mask(tmp_path, ids, answer):
    with pytest.raises(UserError) as caught:
        write_mask(tmp_path / "a.png", ids)
    assert str(caught.value) == answer


def test_a_folder_that_is_missing(tmp_path):
    with pytest.raises(UserError, match=r"cannot write .*no/a.png: No such file or directory"):
        write_mask(tmp_path / "no" / "a.png", torch.zeros(2, 2, dtype=torch.long))
