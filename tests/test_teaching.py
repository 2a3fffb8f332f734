"""The plain-loop face: what works, and how each mistake is answered."""

import copy
import io
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close
from torch.utils.data import TensorDataset

import selfdistill as sd
from selfdistill import memory
from selfdistill.errors import UserError
from tests.networks import CLASSES, network

ROWS = 8


def batch(seed, rows=ROWS, size=16):
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 3, size, size, generator=draws), torch.randint(0, CLASSES, (rows,), generator=draws)


IMAGES, LABELS = batch(0)


def steps(teach, optimizer, count, start=0, call=None):
    losses = []
    for seed in range(start, start + count):
        loss = (call or teach)(*batch(seed))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses


def sgd(teach):
    return torch.optim.SGD(teach.parameters(), lr=0.05, momentum=0.9)


def memories(teach):
    return list(memory.leaves(teach.get_extra_state()["memories"]))


ALL = "scd() + lightskd() + csd()"


def test_four_lines_teach_a_timm_model():
    torch.manual_seed(0)
    model = timm.create_model("resnet18d", num_classes=CLASSES)
    images, labels = batch(0, size=64)
    teach = sd.teach(model, ALL, images)
    optimizer = torch.optim.SGD(teach.parameters(), lr=0.02)
    losses = []
    for _ in range(4):
        loss = teach(images, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(teach.losses["task"])
    assert losses[-1] < losses[0]
    assert teach.logits.shape == (ROWS, CLASSES)
    assert teach.close() is model
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_total_is_the_weighted_sum_of_the_parts():
    teach = sd.teach(network(), "scd(weight=7.0) + drg()", IMAGES)
    loss = teach(IMAGES, LABELS)
    parts = teach.losses
    assert_close(
        loss.detach(), parts["task"] + 7.0 * parts["similarity"] + parts["guidance.learn"] + parts["guidance.mimic"]
    )


def test_without_terms_it_is_cross_entropy():
    model = network()
    teach = sd.teach(model, "ce()", IMAGES)
    assert_close(teach(IMAGES, LABELS), F.cross_entropy(copy.deepcopy(model)(IMAGES), LABELS))


def test_bf16_autocast_keeps_terms_and_memory_in_float32():
    teach = sd.teach(network(), ALL, IMAGES)
    optimizer = sgd(teach)
    for seed in range(3):
        with torch.autocast("cpu", torch.bfloat16):
            loss = teach(*batch(seed))
        assert loss.dtype == torch.float32
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert {leaf.dtype for leaf in memories(teach)} == {torch.float32}
    assert teach(*batch(4)).isfinite()  # and autocast may end


def test_accumulation_keeps_a_memory_for_each_slot():
    """Two halves a step are the whole batch: without batch norm, and where memory is a rank's."""
    big = sd.teach(network("group"), "dsr()", IMAGES)
    small = sd.teach(network("group"), "dsr()", IMAGES[:4], accumulate=2)
    optimizers = sgd(big), sgd(small)
    for seed in range(3):
        images, labels = batch(seed)
        for each in optimizers:
            each.zero_grad()
        whole = big(images, labels)
        whole.backward()
        parts = [small(images[half], labels[half]) / 2 for half in (slice(0, 4), slice(4, 8))]
        for part in parts:
            part.backward()
        assert_close(whole, sum(parts), rtol=1e-4, atol=1e-5)
        for each in optimizers:
            each.step()


def test_accumulation_shares_the_memory_of_the_run():
    teach = sd.teach(network(), "csd()", IMAGES, accumulate=2)
    teach(*batch(0))
    first, second = teach.get_extra_state()["memories"]
    assert torch.equal(first["center"][1], second["center"][1])
    assert first["center"][1].sum() == ROWS


@pytest.mark.parametrize("text", [ALL, "mixup()", "label_smoothing()"])
def test_validation_inside_the_loop_changes_nothing(text):
    def run(validate):
        teach = sd.teach(network(), text, IMAGES)
        optimizer, losses = sgd(teach), []
        for seed in range(4):
            losses += steps(teach, optimizer, 1, start=seed)
            if validate:
                teach.student.eval()
                with torch.no_grad():
                    shown = teach(*batch(50, rows=5))
                assert shown.isfinite()
                teach.student.train()
        return losses

    assert all(torch.equal(one, other) for one, other in zip(run(True), run(False), strict=True))


def test_in_eval_mode_a_call_gives_the_tasks_loss():
    teach = sd.teach(network("group"), ALL, IMAGES)
    teach.student.eval()
    assert_close(teach(IMAGES, LABELS), F.cross_entropy(teach.student(IMAGES), LABELS))


def test_eval_mode_moves_no_memory_and_makes_no_view():
    teacher = network(seed=3)
    teach = sd.teach(network(), "dsr() + csd() + kd()", IMAGES, networks={"teacher": teacher})
    teach(IMAGES, LABELS)
    before = [leaf.clone() for leaf in memories(teach)]
    passes = []
    teacher.register_forward_hook(lambda *_: passes.append(1))
    teach.eval()
    teach(*batch(1, rows=3))
    with torch.no_grad():
        teach.train()
        teach(*batch(2, rows=3))
    assert not passes
    assert all(torch.equal(one, other) for one, other in zip(before, memories(teach), strict=True))


def test_state_dict_carries_everything():
    one = sd.teach(network(), f"{ALL} + label_smoothing()", IMAGES)
    optimizer = sgd(one)
    steps(one, optimizer, 3)
    file = io.BytesIO()
    torch.save({"teach": one.state_dict(), "optimizer": optimizer.state_dict()}, file)
    want = steps(one, optimizer, 3, start=3)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    other = sd.teach(network(seed=8), f"{ALL} + label_smoothing()", IMAGES, seed=5)
    optimizer = sgd(other)
    other.load_state_dict(saved["teach"])
    optimizer.load_state_dict(saved["optimizer"])
    assert all(torch.equal(a, b) for a, b in zip(want, steps(other, optimizer, 3, start=3), strict=True))


def test_mixing_is_drawn_inside_and_resumes():
    def run(count, state=None):
        teach = sd.teach(network(), "mixup()", IMAGES)
        if state:
            teach.load_state_dict(state)
        return [teach(IMAGES, LABELS) for _ in range(count)], teach

    first, teach = run(1)
    state = copy.deepcopy(teach.state_dict())
    second = teach(IMAGES, LABELS)
    again, _ = run(1, state)
    assert not torch.allclose(first[0], second)
    assert torch.equal(again[0], second)


def test_loader_delivers_what_the_method_needs():
    images, labels = batch(0, rows=30)
    dataset = TensorDataset(images, labels)
    teach = sd.teach(network(), "stkd(target='mixed predictions')", images[:8], networks={"teacher": network(seed=2)})
    loader = sd.loader(dataset, teach, batch_size=8, seed=3)
    assert len(loader) == 3
    seen = []
    for each in loader:
        assert each.mix is not None
        assert torch.equal(each.extra["clean"], images[each.index])
        assert teach(each).isfinite()
        seen += each.index.tolist()
    assert len(set(seen)) == 24
    assert [each.index.tolist() for each in loader] != [seen[:8], seen[8:16], seen[16:]]


@pytest.mark.parametrize("text", [ALL, "drg() + dsr()"])
def test_the_whole_face_compiles_as_one_graph(text):
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    eager, teach = (sd.teach(network(), text, IMAGES, epochs=2, steps_per_epoch=2) for _ in range(2))
    compiled = torch.compile(teach, fullgraph=True, backend="aot_eager")
    for seed in range(4):
        assert_close(compiled(*batch(seed)), eager(*batch(seed)), rtol=1e-4, atol=1e-5)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


def test_model_compiled_in_place_afterwards():
    torch._dynamo.reset()
    model = network()
    teach = sd.teach(model, ALL, IMAGES)
    want = teach(IMAGES, LABELS)
    again = sd.teach(network(), ALL, IMAGES)
    again.student.compile(backend="aot_eager")
    assert_close(again(IMAGES, LABELS), want, rtol=1e-4, atol=1e-5)


def test_dsr_starts_again_at_each_epoch():
    teach = sd.teach(network(), "dsr()", IMAGES, epochs=3, steps_per_epoch=2)
    shapes = []
    for seed in range(4):
        teach(*batch(seed))
        shapes.append(teach.losses["shape"].item())
    assert [value == 0 for value in shapes] == [True, False, True, False]
    running = sd.teach(network(), "dsr()", IMAGES)
    assert [running(*batch(seed)) is not None and running.losses["shape"].item() == 0 for seed in range(3)] == [
        True,
        False,
        False,
    ]


def test_a_call_may_leave_memory_alone():
    teach = sd.teach(network(), "csd()", IMAGES)
    teach(IMAGES, LABELS)
    before = [leaf.clone() for leaf in memories(teach)]
    teach(*batch(1), remember=False)
    assert all(torch.equal(one, other) for one, other in zip(before, memories(teach), strict=True))


def test_an_infinite_batch_is_not_remembered():
    teach = sd.teach(network("group"), "csd() + dsr()", IMAGES)
    teach(IMAGES, LABELS)
    bad = IMAGES.clone()
    bad[0] = torch.inf
    teach(bad, LABELS)
    assert all(leaf.isfinite().all() for leaf in memories(teach))
    assert teach(*batch(2)).isfinite()


def test_first_batch_may_differ_in_size_from_the_example():
    teach = sd.teach(network(), ALL, IMAGES[:2])
    assert all(loss.isfinite() for loss in steps(teach, sgd(teach), 3))


def test_two_teaches_on_one_model():
    model = network()
    one, other = sd.teach(model, "drg()", IMAGES), sd.teach(model, "drg(tap='stage1')", IMAGES)
    assert one(IMAGES, LABELS).isfinite()
    assert other(IMAGES, LABELS).isfinite()
    other.close()
    assert one(IMAGES, LABELS).isfinite()


def test_frozen_backbone_and_other_dtypes():
    model = network()
    for name, each in model.named_parameters():
        each.requires_grad_(name.startswith("fc"))
    sd.teach(model, ALL, IMAGES)(IMAGES, LABELS).backward()
    assert model.stem.weight.grad is None
    double = sd.teach(network().double(), ALL, IMAGES)
    assert double(IMAGES.double(), LABELS).dtype == torch.float64


def test_ema_copy_and_pickle_while_teaching():
    teach = sd.teach(network(), ALL, IMAGES)
    average = torch.optim.swa_utils.AveragedModel(teach.student)
    teach(IMAGES, LABELS).backward()
    average.update_parameters(teach.student)
    assert average(IMAGES).shape == (ROWS, CLASSES)
    torch.save(teach.student, io.BytesIO())
    pickle.dumps(teach.student)


@pytest.mark.parametrize(
    ("wrap", "answer"),
    [
        (lambda model: torch.compile(model, backend="eager"), "compile the step, not the model"),
        (lambda model: nn.DataParallel(model), "wrap the teach, not the model"),
        (lambda model: model.state_dict(), "is an nn.Module, but this is a OrderedDict"),
    ],
)
def test_wrapped_models_are_refused(wrap, answer):
    with pytest.raises(UserError, match=answer):
        sd.teach(wrap(network()), "drg()", IMAGES)


def test_models_compiled_in_place_before_are_refused():
    model = network()
    model.compile(backend="eager")
    with pytest.raises(UserError, match="compile the step"):
        sd.teach(model, "drg()", IMAGES)


def test_optimiser_over_the_model_alone_is_noticed():
    model = network()
    teach = sd.teach(model, "drg()", IMAGES)
    with pytest.raises(UserError, match=r"not the heads of drg\(\).*teach.parameters\(\), not model.parameters\(\)"):
        steps(teach, torch.optim.SGD(model.parameters(), lr=0.1), 3)


def test_no_head_no_complaint():
    model = network()
    teach = sd.teach(model, "dsr()", IMAGES)
    assert len(steps(teach, torch.optim.SGD(model.parameters(), lr=0.1), 3)) == 3


@pytest.mark.parametrize(
    ("make", "answer"),
    [
        (lambda: sd.teach(network(), "kd()", IMAGES), r"kd\(\) needs a teacher: pass networks=\{'teacher'"),
        (
            lambda: sd.teach(network(), "ce()", IMAGES, networks={"teacher": network()}),
            "no role for the network 'teacher'",
        ),
        (
            lambda: sd.teach(network(), "scd(warmup=3)", IMAGES),
            r"changes as training goes.*epochs=…, steps_per_epoch=…",
        ),
        (
            lambda: sd.teach(network(), "drg(tap='layer9')", IMAGES),
            "nothing to tap at 'layer9'.*did you mean 'layer3' or 'layer2'",
        ),
        (
            lambda: sd.teach(network(), "drg(tap='stage7')", IMAGES),
            r"its stages are stage1 \(layer1\), stage2 \(layer2\)",
        ),
        (lambda: sd.teach(network(), "drg(head='gated')", IMAGES[:, :, :14, :14]), "gated head halves a map.*7x7"),
        (lambda: sd.teach(network("tokens"), "drg(head='gated')", IMAGES), "reads maps, but the tap gives tokens"),
        (lambda: sd.teach(network(), "drg()", IMAGES[0]), r"an example of images is a float tensor \[B, 3, H, W\]"),
        (lambda: sd.teach(network(), "drg()", IMAGES[:, :1]), "cannot take images of 1 channels"),
        (lambda: sd.teach(network(), "ce()", IMAGES)(IMAGES), "needs labels beside images"),
        (lambda: sd.teach(network(), "scd()", IMAGES)(IMAGES[:1], LABELS[:1]), r"compares the rows.*needs 2.*has 1"),
        (lambda: closed()(IMAGES, LABELS), "this teach was closed"),
        (lambda: short(), r"dsr\(\) compares each batch.*5 rows and the last had 8.*drop_last=True"),
        (
            lambda: sd.teach(Shared(), "csd()", IMAGES),
            r"csd\(\) reads the embedding and the classifier.*pass classifier=",
        ),
        (lambda: sd.teach(Spatial(), "ce()", IMAGES), r"gives \[2, 5, 16, 16\].*a classifier gives \[B, C\]"),
    ],
)
def test_mistakes_are_answered(make, answer):
    with pytest.raises(UserError, match=answer):
        make()


def test_the_student_cannot_be_its_own_teacher():
    model = network()
    with pytest.raises(UserError, match="the teacher shares weights with the student"):
        sd.teach(model, "kd()", IMAGES, networks={"teacher": model})
    assert all(each.requires_grad for each in model.parameters())


def test_a_teacher_comes_back_as_it_was():
    teacher = network(seed=3)
    teacher.layer1.eval()
    teacher.stem.requires_grad_(False)
    modes, trained = [m.training for m in teacher.modules()], [p.requires_grad for p in teacher.parameters()]
    teach = sd.teach(network(), "kd()", IMAGES, networks={"teacher": teacher})
    teach.train()
    assert not any(module.training for module in teacher.modules())
    teach.close()
    assert [m.training for m in teacher.modules()] == modes
    assert [p.requires_grad for p in teacher.parameters()] == trained


def closed():
    teach = sd.teach(network(), "drg()", IMAGES)
    teach.close()
    return teach


def short():
    teach = sd.teach(network(), "dsr()", IMAGES)
    teach(IMAGES, LABELS)
    teach(IMAGES[:5], LABELS[:5])


class Shared(nn.Module):
    """Logits by a matrix product: no module makes them."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.weight = nn.Parameter(torch.randn(CLASSES, 8))

    def forward(self, images):
        return self.body(images) @ self.weight.T


class Spatial(nn.Conv2d):
    def __init__(self):
        super().__init__(3, CLASSES, 1)


RANK = """
import sys, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
import selfdistill as sd
from tests.networks import network
from tests.test_teaching import ALL, batch
torch.set_num_threads(1)
dist.init_process_group("gloo")
try:
    sd.teach(DistributedDataParallel(network()), ALL, batch(0)[0])
except sd.UserError as error:
    assert "wrap the teach, not the model" in str(error)
else:
    raise AssertionError("a wrapped model was taken")
teach = sd.teach(network(), ALL, batch(0)[0])
student, run = teach.student, DistributedDataParallel(teach)
optimizer = torch.optim.SGD(run.parameters(), lr=0.05)
for step in range(3):
    loss = run(*batch(10 * step + dist.get_rank()))
    optimizer.zero_grad(); loss.backward(); optimizer.step()
flat = torch.cat([each.detach().flatten() for each in teach.parameters()])
other = [torch.empty_like(flat) for _ in range(2)]
dist.all_gather(other, flat)
assert torch.equal(*other), "heads or student drifted apart"
assert teach.close() is student
dist.barrier()
dist.destroy_process_group()
"""


def test_teach_under_ddp():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    root = Path(__file__).parents[1]
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "PYTHONPATH": str(root)}
    ranks = [
        subprocess.Popen([sys.executable, "-c", RANK], env={**shared, "RANK": str(rank)}, cwd=root) for rank in range(2)
    ]
    assert [each.wait(timeout=200) for each in ranks] == [0, 0]
