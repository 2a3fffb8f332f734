"""Every method, cut off in the midst of an epoch: what it remembers, averages and draws goes on bitwise."""

import pytest
import torch

from selfdistill.files import read_json
from selfdistill.methods import REGISTRY
from selfdistill.train.run import run
from tests.helpers.small_runs import CutAt, Interrupted, log, small, untimed, weights


def train(text, folder, splits, **options):
    run(small(text, limit=100, batch_size=20), folder, splits=splits, save_every=0.0, **options)


@pytest.mark.parametrize(
    "text", [*(f"{name}()" for name in REGISTRY), "mixup() + dsr()", "scd(warmup=2) + lightskd() + csd()"]
)
def test_bitwise(text, digits, tmp_path):
    train(text, tmp_path / "whole", digits)
    for steps in (3, 6):  # of ten: in the first epoch, and in the second
        with pytest.raises(Interrupted):
            train(text, tmp_path / "cut", digits, listener=CutAt(steps))
        torch.rand(11)
    train(text, tmp_path / "cut", digits)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert log(tmp_path / "cut") == log(tmp_path / "whole")
    results = [untimed(read_json(tmp_path / each / "result.json")) for each in ("cut", "whole")]
    assert results[0] == results[1]


def test_what_a_network_draws_itself_goes_on_too(tmp_path):
    """Dropout in the classifier."""
    config = small(data="fake:classes=4,size=32", limit=40, batch_size=10, model="torchvision/mobilenet_v3_small")
    run(config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(config, tmp_path / "cut", listener=CutAt(3), save_every=0.0)
    run(config, tmp_path / "cut")
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert log(tmp_path / "cut") == log(tmp_path / "whole")
