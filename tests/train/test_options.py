"""What may be asked of a run beside its recipe: precision, clipping, parts, a compiled step."""

import pytest
import torch
from torch import nn

from selfdistill.errors import UserError
from selfdistill.step import Distiller
from selfdistill.train.optim.loss_scale import GROWTH_INTERVAL, INITIAL_SCALE, LossScale
from selfdistill.train.parallel.launch import as_launched, launched
from selfdistill.train.run import run
from tests.helpers.small_runs import Interrupted, StopAfter, log, small, trainer, weights


def test_float16_is_near_to_full_precision_and_its_scale_survives(digits, tmp_path):
    full = trainer(small("lightskd()", epochs=1), digits, tmp_path).fit()
    half = trainer(small("lightskd()", epochs=1, precision="16"), digits, tmp_path / "a")
    half.folder.mkdir()
    rows = half.fit()
    assert rows[0]["losses"] == pytest.approx(full[0]["losses"], rel=0.1)
    assert rows[0]["losses"] != full[0]["losses"]
    state = half.state_dict()
    assert state["scale"]["good"] + state["scale"]["scale"].log2() > 0
    other = trainer(small("lightskd()", epochs=1, precision="16"), digits, tmp_path / "a")
    other.load_state_dict(state)
    assert other.train_step.scale.state_dict() == half.train_step.scale.state_dict()


def test_the_scale_is_halved_by_an_overflow_and_doubled_after_many_good_steps():
    scale, yes, no = LossScale(torch.device("cpu")), torch.tensor(True), torch.tensor(False)
    scale.update(no)
    assert scale.scale == INITIAL_SCALE / 2
    for _ in range(GROWTH_INTERVAL - 1):
        scale.update(yes)
    assert (scale.scale, scale.good) == (INITIAL_SCALE / 2, GROWTH_INTERVAL - 1)
    scale.update(yes)
    assert (scale.scale, scale.good) == (INITIAL_SCALE, 0)


def test_a_gradient_that_overflows_in_float16_is_no_end(digits, tmp_path):
    made = trainer(small(precision="16"), digits, tmp_path)
    weight, seen = next(made.distiller.student.parameters()), []

    def overflow(grad):
        seen.append(weight.detach().clone())
        return grad * torch.inf if len(seen) == 3 else grad

    weight.register_hook(overflow)
    rows = made.fit()
    assert len(rows) == 2
    assert made.train_step.scale.scale <= INITIAL_SCALE / 2
    assert torch.equal(seen[3], seen[2])
    assert not torch.equal(seen[4], seen[3])


def test_the_gradient_is_clipped(digits, tmp_path):
    made = trainer(small(clip_norm=0.01, momentum=0.0, weight_decay=0.0, epochs=1), digits, tmp_path)
    before = [each.detach().clone() for each in made.distiller.parameters()]
    made.train_step.run.train()
    made.train_step.step(next(made.batches(0)), made.progress(0), 1.0)
    moved = [new.detach() - old for new, old in zip(made.distiller.parameters(), before, strict=True)]
    assert torch.nn.utils.get_total_norm(moved).item() == pytest.approx(0.01, rel=1e-3)
    loose = trainer(small(clip_norm=1e6), digits, tmp_path).fit()
    assert loose[-1]["losses"] == pytest.approx(trainer(small(), digits, tmp_path).fit()[-1]["losses"], rel=1e-5)


@pytest.mark.parametrize("options", [{"accumulate": 2}, {"precision": "16"}, {"clip_norm": 1.0}])
@pytest.mark.parametrize("text", ["lightskd() + csd()", "dot() + dsr()", "ps_kd()"])
def test_every_option_resumes_bitwise(text, options, digits, tmp_path):
    config = small(text, **options)
    run(config, tmp_path / "whole", splits=digits)
    with pytest.raises(Interrupted):
        run(config, tmp_path / "cut", splits=digits, listener=StopAfter(1))
    run(config, tmp_path / "cut", splits=digits)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert log(tmp_path / "cut") == log(tmp_path / "whole")


def test_a_compiled_step_gives_what_an_eager_one_does(digits, tmp_path, monkeypatch):
    graphs = []

    def compiled(self, **options):  # a real backend takes two minutes, and shows no more
        def backend(graph, inputs):
            graphs.append(graph)
            return graph

        nn.Module.compile(self, backend=backend, **options)

    monkeypatch.setattr(Distiller, "compile", compiled)
    eager = run(small("lightskd() + csd()", epochs=1), tmp_path / "eager", splits=digits)
    other = run(small("lightskd() + csd()", epochs=1, compile=True), tmp_path / "compiled", splits=digits)
    assert len(graphs) == 1
    assert other["nll"] == pytest.approx(eager["nll"], rel=1e-3)
    losses = [log(tmp_path / each)[0]["losses"] for each in ("eager", "compiled")]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3, abs=1e-5)


@pytest.mark.parametrize(
    ("values", "answer"),
    [
        ({"devices": 3}, r"batch size must be a multiple of devices x nodes x accumulate \(3\), but is 64"),
        ({"devices": 2, "accumulate": 3}, r"batch size must be a multiple of devices x nodes x accumulate \(6\)"),
        ({"devices": 0}, "devices must be 1 or more, but is 0"),
        ({"nodes": 0}, "nodes must be 1 or more"),
        ({"accumulate": 0}, "accumulate must be 1 or more"),
        ({"clip_norm": 0.0}, "clip norm must be above 0, but is 0.0"),
        ({"compile_mode": "fast", "compile": True}, "compile mode must be default or reduce-overhead or max-autotune"),
        ({"compile_mode": "reduce-overhead"}, "unless the step is compiled: add --compile"),
        ({"compile_mode": "reduce-overhead", "compile": True, "devices": 2}, "collectives cannot be part of a CUDA"),
        ({"strategy": "deepspeed"}, "strategy must be auto or ddp or fsdp, but is deepspeed"),
    ],
)
def test_values_that_no_run_could_have(values, answer):
    with pytest.raises(UserError, match=answer):
        small(**{"batch_size": 64, **values})


def test_batch_statistics_over_processes_need_gpus():
    with pytest.raises(UserError, match="--sync-batchnorm needs GPUs, but this run is on a CPU; leave it out"):
        launched(small(sync_batchnorm=True))


def test_processes_that_torchrun_has_started_are_part_of_the_configuration(monkeypatch):
    assert as_launched(small()) == small()
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert as_launched(small()) == small(devices=2, nodes=2)
    assert as_launched(small(devices=4)) == small(devices=4)
