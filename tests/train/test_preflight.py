import re
from dataclasses import replace
from functools import partial

import pytest
import torch

from selfdistill.bench.candidate import Candidate
from selfdistill.data import load
from selfdistill.errors import UserError
from selfdistill.inspect.doctor import check
from selfdistill.methods import REGISTRY, parse_method
from selfdistill.metrics.cost import held_bytes
from selfdistill.models import create
from selfdistill.study import Grid
from selfdistill.study.compare import prepare
from selfdistill.train import preflight
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.networks import resolve_networks
from selfdistill.train.preflight import MARGIN, Finding, few, require, room
from selfdistill.train.run import run
from tests.helpers.small_runs import small, trainer

CONFIG = small(data="fake:classes=4,size=16,train=90", limit=None, batch_size=64)


@pytest.fixture(scope="module")
def splits():
    return load(CONFIG.data)


def make(splits, folder, config):
    return trainer(config, splits, folder, resolve_networks(parse_method(config.method), config, splits))


def found(config, splits, folder):
    return room(partial(make, splits, folder), config, folder)


@pytest.mark.parametrize("text", ["ce()", "lightskd()", "ddgsd()", "kd()", "ps_kd()"])
def test_small_batches_tell_what_the_whole_one_needs(text, splits, tmp_path, monkeypatch):
    config = replace(CONFIG, method=text)
    needed = Candidate(text, config, splits).bytes()
    for there, fits in ((1.1 * MARGIN * needed, True), (0.9 * MARGIN * needed, False)):
        monkeypatch.setattr(preflight, "free_memory", lambda there=there: there)
        memory, disk = found(config, splits, tmp_path)
        assert memory.ok is fits, memory.words
        assert disk.ok


def test_the_batch_that_would_fit_is_named_and_fits(splits, tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "free_memory", lambda: 4 * 2**20)
    memory, _ = found(CONFIG, splits, tmp_path)
    smaller = int(
        re.fullmatch(r"a batch of 64 needs about \d+ MiB .*, 4 MiB are free; pass --batch-size (\d+)", memory.words)[1]
    )
    assert found(replace(CONFIG, batch_size=smaller), splits, tmp_path)[0].ok
    assert not found(replace(CONFIG, batch_size=smaller + 4), splits, tmp_path)[0].ok
    monkeypatch.setattr(preflight, "free_memory", lambda: 1000)
    assert found(CONFIG, splits, tmp_path)[0].words.endswith("take a smaller --model or --size")


def test_the_best_epochs_network_needs_disk_too(splits, tmp_path):
    held = replace(splits, validation=splits.test)
    config = replace(CONFIG, model="resnet20")
    words = [found(config, each, tmp_path)[1].words for each in (splits, held)]
    student = create(config.model, len(splits.classes), size=splits.train.size)
    more = 3 * held_bytes(student.state_dict().values()) / 2**20
    first, second = (float(re.search(r"about ([\d.]+) MiB", each)[1]) for each in words)
    assert second - first == pytest.approx(more, abs=1)
    assert second > first


def test_a_full_disk_is_found(splits, tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "free_disk", lambda folder: 10**6)
    _, disk = found(CONFIG, splits, tmp_path)
    assert not disk.ok
    assert re.match(r"3 checkpoints need about 2 MiB, 1 MiB are free at .*; free the disk or choose", disk.words)


def test_checkpoints_are_as_large_as_was_said(splits, tmp_path):
    run(replace(CONFIG, epochs=1), tmp_path / "run", splits=splits)
    said = int(re.search(r"about (\d+) MiB", found(CONFIG, splits, tmp_path)[1].words)[1])
    assert abs(3 * (tmp_path / "run" / "last.ckpt").stat().st_size / 2**20 - said) < 1


def test_small_batches_keep_groups_and_pairs(splits, tmp_path):
    assert few(make(splits, tmp_path, CONFIG)) == 4
    for text in ("scd()", "bake()"):
        config = replace(CONFIG, method=text)
        rows = few(make(splits, tmp_path, config))
        assert len(make(splits, tmp_path, replace(config, batch_size=rows)).loader) > 0


def test_a_run_without_room_does_not_start(splits, tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "free_memory", lambda: 1000)
    with pytest.raises(UserError, match=r"a batch of 64 needs about .* take a smaller --model"):
        run(CONFIG, tmp_path / "run", splits=splits)
    assert not (tmp_path / "run").exists()


def test_looking_changes_no_network_and_no_later_draw(splits, tmp_path):
    teacher = make(splits, tmp_path, CONFIG).distiller.student
    before = {name: each.clone() for name, each in teacher.state_dict().items()}
    config = replace(CONFIG, method="kd()", epochs=1)
    results = [run(config, tmp_path / name, splits=splits, networks={"teacher": teacher})["nll"] for name in ("a", "b")]
    assert results[0] == results[1]
    for name, each in teacher.state_dict().items():
        assert torch.equal(each, before[name]), name


def test_the_first_that_is_not_ok_is_said():
    require([Finding("memory", True, "fine")])
    with pytest.raises(UserError, match="no disk; buy one"):
        require([Finding("memory", True, "fine"), Finding("disk", False, "no disk; buy one")])


def told(text, **options):
    config = small(text, **options)
    return list(preflight.remarks(parse_method(text), config))


RAMPS = {  # methods whose distillation grows over some epochs, or begins late
    "pcl()": 80,
    "okddip()": 80,
    "review_kd()": 20,
    "scd(warmup=30)": 30,
    "csd(warmup=12.5)": 12.5,
    "kd(warmup=9)": 9,
    "sad(start=7)": 7,
}


@pytest.mark.parametrize(("text", "ramp"), RAMPS.items())
def test_a_ramp_longer_than_the_run_is_remarked(text, ramp):
    (words,) = told(text, epochs=5)
    assert re.search(
        rf"the term '\w+' of {re.escape(parse_method(text).text)} has its full weight only after {ramp:g} ", words
    )
    assert "and the run has 5, so it barely distills; pass a shorter ramp, warmup or start, or more --epochs" in words
    assert not told(text, epochs=int(ramp) + 1)


def test_no_other_method_has_a_ramp():
    ramped = {text for text in (f"{name}()" for name in REGISTRY) if told(text, epochs=1)}
    assert {"pcl()", "okddip()", "review_kd()"} <= ramped
    assert all(any(term.uses_progress for term in parse_method(text).terms.values()) for text in ramped)


def test_a_control_distils_nothing_and_has_no_remark():
    assert not told("control(pcl())", epochs=5)


def test_emulated_bf16_is_remarked(monkeypatch):
    monkeypatch.setattr(preflight, "has_bf16_arithmetic", lambda: False)
    (words,) = told("ce()", precision="bf16", accelerator="cpu")
    assert words.startswith("this processor has no bfloat16 arithmetic, so --precision bf16 is emulated")
    assert not told("ce()", precision="32", accelerator="cpu")
    monkeypatch.setattr(preflight, "has_bf16_arithmetic", lambda: True)
    assert not told("ce()", precision="bf16", accelerator="cpu")


def test_compare_and_doctor_pass_remarks_on(tmp_path):
    class Notes(Listener):
        def __init__(self):
            self.texts = []

        def on_note(self, text):
            self.texts.append(text)

    notes = Notes()
    prepare(Grid(["ce()", "scd(warmup=9)"], recipe=small(epochs=2)), small(epochs=2), tmp_path, notes)
    assert [words for words in notes.texts if "has its full weight only after 9 epochs" in words]
    findings = check(small("scd(warmup=9)", epochs=2), tmp_path)
    assert [each.remark for each in findings if "only after 9 epochs, and the run has 2" in each.words] == [True]
