"""Schedule, optimiser, configuration and files, each by hand."""

import json
import math

import pytest

from selfdistill.errors import UserError
from selfdistill.train.config import RunConfig
from selfdistill.train.files import make_folder, read_json, write_json
from selfdistill.train.optimiser import make_optimiser
from selfdistill.train.schedule import learning_rate
from tests.networks import network


def rate(step, **options):
    return learning_rate(step, 100, 10, RunConfig("ce()", lr=0.2, epochs=10, **options))


def test_cosine_falls_from_the_rate_to_zero():
    assert rate(0) == 0.2
    assert math.isclose(rate(50), 0.1)
    assert math.isclose(rate(25), 0.1 * (1 + math.cos(math.pi / 4)))
    assert 0 < rate(99) < 1e-4


def test_step_is_lowered_at_its_milestones():
    rates = [rate(step, schedule="step", milestones=(0.5, 0.75), gamma=0.1) for step in (0, 49, 50, 74, 75, 99)]
    assert rates == pytest.approx([0.2, 0.2, 0.02, 0.02, 0.002, 0.002])


def test_warmup_grows_step_by_step():
    assert [rate(step, warmup=2) for step in (0, 9, 19)] == pytest.approx([0.01, 0.1, 0.2])
    assert rate(20, warmup=2) == 0.2


def test_norms_and_biases_can_go_without_decay():
    model = network()
    model.stem.weight.requires_grad_(False)
    one = make_optimiser(model, RunConfig("ce()", weight_decay=0.1))
    assert [group["weight_decay"] for group in one.param_groups] == [0.1]
    decayed, free = make_optimiser(model, RunConfig("ce()", weight_decay=0.1, decay_norms=False)).param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    assert all(each.dim() > 1 for each in decayed["params"])
    assert all(each.dim() == 1 for each in free["params"])
    trained = [each for each in model.parameters() if each.requires_grad]
    assert len(decayed["params"]) + len(free["params"]) == len(trained) < len(list(model.parameters()))
    assert one.defaults["nesterov"]
    assert not make_optimiser(model, RunConfig("ce()", momentum=0.0)).defaults["nesterov"]


def test_configuration_survives_json():
    config = RunConfig("drg() + dsr()", milestones=(0.3, 0.6), limit=100)
    assert RunConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert RunConfig.from_json({"method": "ce()", "of_another_version": 1}) == RunConfig("ce()")


@pytest.mark.parametrize(
    ("field", "value", "answer"),
    [
        ("epochs", 0, "epochs must be 1 or more, but is 0"),
        ("batch_size", 0, "batch size must be 1 or more"),
        ("limit", 0, "limit must be 1 or more"),
        ("lr", 0.0, "lr must be above 0, but is 0.0"),
        ("momentum", 1.0, "momentum must be from 0 to below 1"),
        ("weight_decay", -1.0, "weight decay must be 0 or more"),
        ("validation", 1.0, "validation must be a share"),
        ("warmup", 99, "warmup must be from 0 to the 20 epochs"),
        ("schedule", "linear", "schedule must be cosine or step, but is linear"),
        ("precision", "8", "precision must be 32 or bf16 or 16"),
    ],
)
def test_values_that_no_run_could_have(field, value, answer):
    with pytest.raises(UserError, match=answer):
        RunConfig("ce()", **{field: value})


def test_files_are_whole_or_not_there(tmp_path):
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"x": object()})
    assert read_json(tmp_path / "a.json") == {"x": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]
    with pytest.raises(UserError, match="cannot write .*choose another --out"):
        write_json(tmp_path / "no folder" / "a.json", {})
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(UserError, match="cannot read .*b.json"):
        read_json(tmp_path / "b.json")
    with pytest.raises(UserError, match="cannot make the folder"):
        make_folder(tmp_path / "a.json" / "under a file")
