import math

import pytest
import torch
from torch import nn

from selfdistill.data import Augmentation, Images
from selfdistill.metrics.accuracy import accuracy, classification_metrics, evaluate, predict

PLAIN = Augmentation(0, False, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def by_loops(logits, labels, bins=15):
    """NLL and calibration error from their definitions, row by row."""
    nll, inside = 0.0, [[] for _ in range(bins)]
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        shares = [math.exp(each) for each in row]
        shares = [each / sum(shares) for each in shares]
        nll -= math.log(shares[label])
        sure = max(shares)
        inside[min(math.ceil(sure * bins) - 1, bins - 1)].append((sure, shares.index(sure) == label))
    gaps = [abs(sum(sure - right for sure, right in each)) for each in inside]
    return nll / len(labels), 100 * sum(gaps) / len(labels)


def test_measures_are_their_definitions():
    draws = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(200, 8, generator=draws) * 3, torch.randint(8, (200,), generator=draws)
    easy = logits.softmax(dim=1).amax(dim=1) < 0.7
    labels[easy] = logits[easy].argmax(dim=1)  # unsure where it is right: gaps of both signs
    found = classification_metrics(logits, labels)
    order = logits.argsort(dim=1, descending=True)
    assert found["top1"] == 100 * sum(int(order[i, 0] == labels[i]) for i in range(200)) / 200
    assert found["top5"] == 100 * sum(int(labels[i] in order[i, :5]) for i in range(200)) / 200
    nll, ece = by_loops(logits, labels)
    assert found["nll"] == pytest.approx(nll, rel=1e-6)
    assert found["ece"] == pytest.approx(ece, rel=1e-4)


def test_few_classes_have_no_top_5():
    assert set(classification_metrics(torch.eye(5), torch.arange(5))) == {"top1", "nll", "ece"}


def test_accuracy_by_hand():
    logits, labels = torch.tensor([[3.0, 2, 1], [1, 3, 2], [1, 2, 3]]), torch.tensor([0, 2, 0])
    assert accuracy(logits, labels) == pytest.approx(100 / 3)
    assert accuracy(logits, labels, 2) == pytest.approx(200 / 3)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Dropout(), nn.Linear(12, 6))


@pytest.fixture
def images():
    draws = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (7, 3, 2, 2), generator=draws, dtype=torch.uint8)
    return Images(pixels, torch.arange(7) % 6)


def test_all_images_count_once_whatever_the_batch(network, images):
    logits, labels = predict(network, images, PLAIN, batch_size=3)
    want = network.eval()(images.images / 255)
    torch.testing.assert_close(logits, want.detach())
    assert torch.equal(labels, images.labels)
    assert evaluate(network, images, PLAIN, batch_size=2) == pytest.approx(
        classification_metrics(want.detach(), images.labels)
    )


def test_the_network_is_left_as_it_was(network, images):
    network[0].eval()  # as somebody may who freezes statistics
    before = {name: value.clone() for name, value in network.state_dict().items()}
    evaluate(network, images, PLAIN)
    assert [module.training for module in network] == [False, True, True, True]
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
