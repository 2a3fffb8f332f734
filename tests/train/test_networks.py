import hashlib
import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from selfdistill import data
from selfdistill.bench.candidate import Candidate
from selfdistill.data import Augmentation
from selfdistill.errors import UserError
from selfdistill.inspect.doctor import PlannedRun
from selfdistill.method.networks import Teacher
from selfdistill.methods import parse_method
from selfdistill.train import networks as teacher
from selfdistill.train.run import run
from tests.helpers.small_runs import small, trainer


def test_a_teacher_is_trained_once_and_kept(digits, tmp_path):
    run(small("stkd()", epochs=1), tmp_path / "a", splits=digits)
    (made,) = (tmp_path / "teachers").iterdir()
    assert made.name.startswith("resnet8-")
    before = (made / "last.ckpt").stat().st_mtime_ns
    run(small("stkd(weight=0.5)", epochs=1), tmp_path / "b", splits=digits)
    run(small("stkd(teacher='resnet8')", epochs=1), tmp_path / "c", splits=digits)
    assert [*(tmp_path / "teachers").iterdir()] == [made]
    assert (made / "last.ckpt").stat().st_mtime_ns == before
    assert teacher.load_run(made)[1]["method"] == "ce()"


def test_a_teacher_of_the_same_architecture_starts_from_other_weights(digits, tmp_path):
    starts = [next(trainer(small(generation=k), digits, tmp_path).distiller.student.parameters()) for k in (0, 1, 2)]
    assert not starts[0].equal(starts[1])
    assert not starts[1].equal(starts[2])


def test_a_run_can_teach(digits, tmp_path):
    run(small("ce()", epochs=1), tmp_path / "plain", splits=digits)
    text = f"stkd(teacher={str(tmp_path / 'plain')!r})"
    run(small(text, epochs=1), tmp_path / "taught", splits=digits)
    assert not (tmp_path / "teachers").exists()
    given = {"teacher": teacher.load_run(tmp_path / "plain")[0]}
    run(small("stkd()", epochs=1), tmp_path / "given", splits=digits, networks=given)
    weights = [(tmp_path / name / "student.safetensors").read_bytes() for name in ("taught", "given")]
    assert weights[0] == weights[1]
    assert not (tmp_path / "teachers").exists()


def test_a_teacher_for_other_classes(digits, tmp_path):
    three = data.load("fake:classes=3,size=8,train=12,test=6")
    run(small("ce()", data=three.name, limit=None, epochs=1), tmp_path / "three", splits=three)
    text = f"stkd(teacher={str(tmp_path / 'three')!r})"
    with pytest.raises(UserError, match="three' has 3 classes, but digits has 10; take one trained on the same"):
        run(small(text), tmp_path / "a", splits=digits)


def test_what_a_teachers_name_means(tmp_path):
    config = small("stkd()", model="resnet20", weights="w.pt", seed=4)
    own = teacher.plan(Teacher(), config)
    assert own == small("ce()", model="resnet20", weights="w.pt", seed=4, generation=1)
    assert teacher.plan(Teacher(), own).generation == 2
    assert teacher.plan(Teacher("wrn-16-2"), config) == small("ce()", model="wrn-16-2", seed=4)
    dotted = "timm/vit_tiny_patch16_224.augreg_in21k"
    assert teacher.plan(Teacher(dotted), config) == small("ce()", model=dotted, seed=4)
    assert teacher.folder_for(own, tmp_path) == teacher.folder_for(replace(own), tmp_path)
    assert teacher.folder_for(own, tmp_path) != teacher.folder_for(small("ce()"), tmp_path)
    assert teacher.folder_for(small("ce()"), tmp_path) != teacher.folder_for(small("csd()"), tmp_path)
    values = json.dumps({"accelerator": "cpu", "batch_size": 32, "epochs": 2, "limit": 200, "method": "ce()"})
    digest = hashlib.sha256(values.encode()).hexdigest()[:10]  # of what is not the default: later fields change nothing
    assert teacher.folder_for(small("ce()"), tmp_path) == tmp_path / f"resnet8-{digest}"
    with pytest.raises(UserError) as told:
        teacher.plan(Teacher("runs/x"), config)
    assert str(told.value) == (
        "the teacher 'runs/x' is neither the folder of a run nor a model; name a folder such as runs/x, or a "
        "model to be trained first, such as 'resnet20'"
    )


def test_folders_that_hold_no_student(tmp_path):
    with pytest.raises(UserError, match=r"holds no run \(no run.json\); name the folder that a train command wrote"):
        teacher.load_run(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UserError, match=r"is not finished \(no student.safetensors\); run its train command again"):
        teacher.load_run(tmp_path)


class Sees(nn.Module):
    """Remembers what it was shown."""

    def forward(self, images):
        self.shown = images
        return images.mean(dim=(2, 3))


def test_a_teacher_of_another_size_and_normalisation_is_shown_the_images_as_it_knows_them():
    pixels = torch.rand(2, 3, 16, 16)
    smooth = F.interpolate(pixels, (8, 8), mode="bilinear", antialias=True)
    here, there = ((0.5, 0.4, 0.3), (0.2, 0.25, 0.3)), ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))

    def normal(images, mean, std):
        return (images - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]

    network = Sees()
    facts = {"size": 8, "mean": there[0], "std": there[1]}
    adapted = teacher.adapted(network, facts, Augmentation(0, False, *here), 16)
    adapted(normal(pixels, *here))
    assert_close(network.shown, normal(smooth, *there), rtol=1e-4, atol=1e-5)
    same = {"size": 16, "mean": list(here[0]), "std": list(here[1])}
    assert teacher.adapted(network, same, Augmentation(0, False, *here), 16) is network


def test_a_run_on_smaller_images_can_teach(tmp_path):
    run(small("ce()", epochs=1, limit=100, size=8), tmp_path / "teacher")
    result = run(small(f"kd(teacher='{tmp_path / 'teacher'}')", epochs=1, limit=100, size=16), tmp_path / "student")
    assert result["top1"] > 0


def test_a_peer_of_another_architecture_is_made_by_name(tmp_path):
    result = run(small("dml(peer='resnet20')", epochs=1, limit=100), tmp_path)
    assert result["added_parameters"] > 200_000  # a whole resnet20


def test_a_dry_run_sees_the_teacher_that_a_run_sees(tmp_path):
    small_images = data.load("fake:classes=4,size=16,train=32,test=8")
    run(small("ce()", data=small_images.name, limit=None, epochs=1), tmp_path / "teacher", splits=small_images)
    large = data.load("fake:classes=4,size=32,train=32,test=8")
    config = small(f"kd(teacher={str(tmp_path / 'teacher')!r})", data=large.name, limit=None, epochs=1)
    dry = teacher.resolve_networks(parse_method(config.method), config, large)["teacher"]
    distiller = teacher.untrained_distiller(config, large, rows=2)
    assert isinstance(dry, teacher.Adapted)
    assert isinstance(distiller.networks["teacher"].network, teacher.Adapted)
    planned = PlannedRun(config, tmp_path)
    assert isinstance(planned.trainer(config).distiller.networks["teacher"].network, teacher.Adapted)
    assert isinstance(Candidate("kd", config, large).trainer.distiller.networks["teacher"].network, teacher.Adapted)


def test_a_stand_in_leaves_the_random_stream_alone():
    digits = data.load("digits", limit=50)
    before = torch.get_rng_state()
    config = small("dml(peer='resnet20') + kd(teacher='resnet20')")
    made = teacher.resolve_networks(parse_method(config.method), config, digits)
    assert made.keys() == {"teacher", "peer1"}
    assert torch.get_rng_state().equal(before)
