"""So are those found in people's own networks."""

import pytest
import torch
from torch import nn

from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from tests.helpers.classifiers import (
    Around,
    OtherInTraining,
    PreActNet,
    Product,
    SharedReLU,
    TwoHeads,
    TwoStreams,
    images,
    mlp,
    paths,
    plain,
    unpadded,
)
from tests.helpers.networks import network


@pytest.mark.parametrize(
    ("make", "stages", "classifier", "embedding"),
    [
        (plain, "1 4", "7", (2, 16)),
        (PreActNet, "layer1 layer2 relu", "fc", (2, 32)),
        (Product, "features.1 features.4", None, None),
        (lambda: Around(plain(), lambda logits: {"logits": logits}), "inner.1 inner.4", "inner.7", (2, 16)),
        (lambda: Around(Product(), lambda logits: logits), "inner.features.1 inner.features.4", None, None),
        (lambda: plain(nn.Conv2d(16, 4, 1), nn.Flatten()), "1 4", "6", (2, 16)),
        (mlp, "2", "3", (2, 16)),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4)), "", "1", (2, 3 * 32 * 32)),
        (unpadded, "3 6", "9", (2, 16)),
        (SharedReLU, "conv1 relu", "fc", (2, 16)),
        (TwoStreams, "", "fc", (2, 16)),
    ],
    ids=[
        "sequential",
        "preact",
        "product",
        "dict",
        "wrapped product",
        "conv head",
        "mlp",
        "linear",
        "unpadded",
        "shared relu",
        "two streams",
    ],
)
def test_peoples_own_networks(make, stages, classifier, embedding):
    found = read_anatomy(make(), images())
    assert (paths(found), found.classifier, found.embedding) == (stages, classifier, embedding)


def test_blocks_of_tokens():
    found = read_anatomy(network("tokens"), images(16))
    assert (paths(found), found.embedding) == ("blocks.0 blocks.1 blocks", (2, 16))


def test_logits_changed_in_place_have_no_classifier():
    cooled = Around(plain(), lambda logits: logits.div_(3))
    assert read_anatomy(cooled, images()).classifier is None


def test_a_classifier_must_make_the_logits_in_training_too():
    assert read_anatomy(OtherInTraining(), images()).classifier is None


def test_one_head_of_two_can_be_chosen():
    assert read_anatomy(TwoHeads(), images()).classifier is None
    found = read_anatomy(TwoHeads(), images(), classifier="other")
    assert (found.classifier, found.embedding, found.classifier_input) == ("other", (2, 16), (16,))
    with pytest.raises(
        UserError, match=r"TwoHeads has no module 'head' that outputs logits \[2, 4\]; these do: one, other"
    ):
        read_anatomy(TwoHeads(), images(), classifier="head")


def test_a_frozen_backbone_is_read():
    model = PreActNet()
    model.layer1.requires_grad_(False)
    assert paths(read_anatomy(model, images())) == "layer1 layer2 relu"


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_images_are_cast_to_the_models_dtype(dtype):
    assert read_anatomy(plain().to(dtype), images()).classifier == "7"
