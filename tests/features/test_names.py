"""What can be tapped, by which names, and what is said of others."""

import pytest
from torch import nn

from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from tests.helpers.classifiers import PreActNet, Product, images, plain


def test_names_of_taps():
    found = read_anatomy(PreActNet(), images())
    assert found.stage("stage2").path == found.stage("stage-2").path == found.stage("layer2").path == "layer2"
    assert found.stage("layer2.conv1").shape == (2, 16, 16, 16)
    assert found.stage("stage-1").path == "relu"
    assert (found.stage("embedding").path, found.stage("embedding").shape) == ("fc", (2, 32))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("stage7", r"nothing to tap at 'stage7'; its stages are stage1 \(layer1\), .*, stage3 \(relu\)"),
        ("layer2.convl", r"nothing to tap at 'layer2.convl'.*did you mean .*'layer2.conv1'"),
        ("layer2.norm2", r"a later module changes 'layer2.norm2' in place.*tap 'layer2.relu' instead"),
    ],
)
def test_wrong_names_of_taps(name, message):
    with pytest.raises(UserError, match=message):
        read_anatomy(PreActNet(), images()).stage(name)


def test_no_embedding_without_a_classifier():
    with pytest.raises(UserError, match=r"no single module computes the logits of Product.*classifier='head'"):
        read_anatomy(Product(), images()).stage("embedding")


def test_outputs_overwritten_in_training_alone_are_not_tapped():
    noisy = plain(nn.Dropout(0.5, inplace=True), nn.Flatten(), nn.Linear(16, 4))
    with pytest.raises(UserError, match=r"a later module changes '5' in place.*tap '6' instead"):
        read_anatomy(noisy, images()).stage("5")
