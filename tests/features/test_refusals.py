"""Models and images that cannot be read are answered."""

import warnings

import pytest
import torch
from torch import nn

from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from tests.helpers.classifiers import images, plain, tv


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: torch.compile(plain()), "compile the step, not the model"),
        (lambda: nn.DataParallel(plain()), "wrapped in DataParallel; wrap the teach, not the model"),
        (lambda: "resnet18", "this is a str"),
        (nn.Identity, "Identity has no parameters"),
    ],
    ids=["compiled", "DataParallel", "no module", "no parameters"],
)
def test_models_that_cannot_be_read(made, message):
    with pytest.raises(UserError, match=message):
        read_anatomy(made(), images())


def test_a_model_compiled_in_place_is_refused():
    model = plain()
    model.compile()
    with pytest.raises(UserError, match="compile the step, not the model"):
        read_anatomy(model, images())


def test_a_script_is_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls scripting itself deprecated
        script = torch.jit.script(plain())
    with pytest.raises(UserError, match="a ScriptModule supports no hooks"):
        read_anatomy(script, images())


def test_a_distributed_model_is_refused(tmp_path):
    store = f"file://{tmp_path / 'store'}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    try:
        with pytest.raises(UserError, match="wrapped in DistributedDataParallel; wrap the teach"):
            read_anatomy(nn.parallel.DistributedDataParallel(plain()), images())
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.zeros(3, 32, 32), r"cannot take two rows of these inputs, float32 \[2, 32, 32\]"),
        (torch.zeros(2, 3, 32, 32, dtype=torch.uint8), r"cannot take two rows of these inputs, uint8 \[2, 3, 32, 32\]"),
        (torch.zeros(0, 3, 32, 32), r"one row per example, but these are float32 \[0, 3, 32, 32\]"),
        ([1, 2], "one row per example, but these are a int, a int"),
        (
            torch.zeros(2, 1, 32, 32),
            r"cannot take two rows .*\[2, 1, 32, 32\]: .*expected input",
        ),
    ],
    ids=["one image", "bytes", "no rows", "list", "grey"],
)
def test_images_that_cannot_be_read(given, message):
    with pytest.raises(UserError, match=message):
        read_anatomy(plain(), given)


def test_images_too_small_for_the_model():
    with pytest.raises(UserError, match=r"SqueezeNet in eval mode cannot take .*\[2, 3, 4, 4\]: .*output size"):
        read_anatomy(tv("squeezenet1_1"), images(4))


def test_failing_in_training_alone_is_told():
    norm = nn.Sequential(nn.Conv2d(3, 4, 32), nn.Flatten(0), nn.Unflatten(0, (1, 8)), nn.BatchNorm1d(8))
    with pytest.raises(UserError, match=r"in train mode cannot take .* Expected more than 1 value per channel"):
        read_anatomy(norm, images(32))


def test_logits_are_rows_of_classes():
    with pytest.raises(
        UserError, match=r"gives logits \[2, 16, 1\], whose classes come second .*, and to classify examples \[B, C\]"
    ):
        read_anatomy(plain(nn.Flatten(2)), images())
