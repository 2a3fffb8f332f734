"""Loops as people write them: eval mode, short batches, labels of other kinds, own losses, checkpoints of others."""

import re
import warnings

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils import prune
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.methods import REGISTRY
from tests.helpers.kinds import bert, texts
from tests.helpers.loops import ALL, IMAGES, LABELS, batch, sgd, steps
from tests.helpers.networks import CLASSES, network

# --- modes


def test_a_student_in_eval_mode_is_told_once():
    teach = sd.teach(network().eval(), "csd()", IMAGES)
    with pytest.warns(UserWarning, match=r"in eval mode.*without distillation.*model.train\(\).*no_grad"):
        teach(IMAGES, LABELS)
    teach(IMAGES, LABELS)  # a second warning would be an error here
    assert set(teach.losses) == {"task"}


def test_validation_without_gradient_is_not_told():
    teach = sd.teach(network(), "csd()", IMAGES)
    teach.eval()
    with torch.no_grad():
        teach(IMAGES, LABELS)  # a warning would be an error here
    assert set(teach.losses) == {"task"}


def test_batch_norm_alone_in_eval_mode_is_distilled():
    teach = sd.teach(network(), "drg()", IMAGES)
    norms = [each for each in teach.student.modules() if isinstance(each, nn.BatchNorm2d)]
    for each in norms:
        each.eval()
    before = [each.running_mean.clone() for each in norms]
    steps(teach, sgd(teach), 2)
    assert set(teach.losses) == {"task", "guidance.learn", "guidance.mimic"}
    assert all(torch.equal(each.running_mean, mean) for each, mean in zip(norms, before, strict=True))


def test_logits_and_losses_are_those_of_the_last_call():
    teach = sd.teach(network("group"), "csd()", IMAGES)
    teach(IMAGES, LABELS)
    teach.eval()
    with torch.no_grad():
        teach(IMAGES[:3], LABELS[:3])
    assert_close(teach.logits, teach.student(IMAGES[:3]).detach())
    assert set(teach.losses) == {"task"}


# --- batches


@pytest.mark.parametrize("text", ["dsr()", "lightskd()", ALL, "csd() + scd()"])
def test_the_short_last_batch_of_a_default_loader(text):
    teach = sd.teach(network(), text, IMAGES)
    for seed, rows in enumerate([8, 8, 3, 8, 2, 8]):
        teach(*batch(seed, rows=rows)).backward()
        assert all(loss.isfinite() for loss in teach.losses.values())


def test_dsr_compares_the_rows_that_both_batches_have():
    teach = sd.teach(network("group"), "dsr()", IMAGES)
    teach(*batch(0))
    first = teach.logits.sort(dim=1).values
    teach(*batch(1, rows=3))
    short = teach.logits.sort(dim=1).values

    def loss(now, then):
        return 16 * F.kl_div(F.log_softmax(now / 4, 1), F.softmax(then / 4, 1), reduction="batchmean")

    assert_close(teach.losses["shape"], loss(short, first[:3]))
    teach(*batch(2))
    now = teach.logits.sort(dim=1).values
    assert_close(teach.losses["shape"], loss(now, torch.cat([short, first[3:]])))


def test_a_first_batch_that_is_short_leaves_no_zeros_behind():
    teach = sd.teach(network("group"), "dsr()", IMAGES, epochs=2, steps_per_epoch=3)
    for seed, rows in enumerate([8, 8, 8, 2]):  # memory restarts before the fourth
        teach(*batch(seed, rows=rows))
    short = teach.logits.sort(dim=1).values
    teach(*batch(4))
    now, then = teach.logits.sort(dim=1).values, short.repeat(4, 1)
    want = 16 * F.kl_div(F.log_softmax(now / 4, 1), F.softmax(then / 4, 1), reduction="batchmean")
    assert_close(teach.losses["shape"], want)


def test_one_row_left_is_told():
    teach = sd.teach(network(), "ce()", IMAGES[:, :, :4, :4])
    with pytest.raises(UserError, match=r"gets one value per channel.*the batch has 1 row.*use larger batches"):
        teach(IMAGES[:1, :, :4, :4], LABELS[:1])


# --- labels


@pytest.mark.parametrize(
    "labels",
    [LABELS.int(), LABELS.to(torch.uint8), LABELS.short(), LABELS[:, None], LABELS.tolist(), LABELS.numpy()],
    ids=["int32", "uint8", "int16", "column", "list", "numpy"],
)
@pytest.mark.parametrize("text", ["ce()", "csd()"])
def test_class_ids_of_any_integer_kind(labels, text):
    want = sd.teach(network(), text, IMAGES)(IMAGES, LABELS)
    assert torch.equal(sd.teach(network(), text, IMAGES)(IMAGES, labels), want)


BAD_LABELS = [
    (LABELS.float(), r"labels must be class ids, integers \[B\], but these are float32 \[8\]; pass labels.long\(\)"),
    (F.one_hot(LABELS, CLASSES), r"labels must be class ids.*int64 \[8, 5\]; pass labels.argmax\(dim=1\) for one-hot"),
    (torch.rand(8, CLASSES), r"float32 \[8, 5\].*task="),
    (torch.zeros(8, 3, dtype=torch.long), r"int64 \[8, 3\]; pass one id per row"),
    (
        LABELS + CLASSES,
        r"labels must be from 0 to 4 for the model's 5 logits, but these include \d.*without a label",
    ),
    (torch.full((8,), -100), "but these include -100"),
    (LABELS[:4], "a batch of 8 rows needs 8 labels, but these are 4"),
]


@pytest.mark.parametrize(("labels", "answer"), BAD_LABELS)
@pytest.mark.parametrize("text", ["ce()", "csd()", "mixup()"])
@pytest.mark.parametrize("training", [True, False])
def test_other_labels_are_refused_by_all_methods_alike(labels, answer, text, training):
    teach = sd.teach(network(), text, IMAGES).train(training)
    with torch.set_grad_enabled(training), pytest.raises(UserError, match=answer):
        teach(IMAGES, labels)


def test_an_unknown_keyword_is_refused():
    teach = sd.teach(network(), "csd()", IMAGES)
    with pytest.raises(UserError, match=r"teach does not know 'foo'; besides inputs.* csd\(\) reads no other input"):
        teach(IMAGES, LABELS, foo=IMAGES)


def test_equal_twins_are_told():
    teach = sd.teach(network(), "ddgsd()", IMAGES)
    with pytest.warns(UserWarning, match="twin equals the inputs: the data set does not augment"):
        teach(IMAGES, LABELS, twin=IMAGES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sd.teach(network(), "ddgsd()", IMAGES)(IMAGES, LABELS, twin=IMAGES.flip(3))


# --- losses


def weighted(logits, labels):
    return F.cross_entropy(logits, labels, weight=torch.arange(1.0, CLASSES + 1))


def test_a_task_loss_of_ones_own_trains_student_and_heads_and_validates():
    teach = sd.teach(network("group"), "drg()", IMAGES, task=weighted)
    teach(IMAGES, LABELS)
    assert_close(teach.losses["task"], weighted(teach.logits, LABELS))
    plain = sd.teach(network("group"), "drg()", IMAGES)
    plain(IMAGES, LABELS)
    assert not torch.isclose(teach.losses["guidance.learn"], plain.losses["guidance.learn"])
    teach.eval()
    with torch.no_grad():
        assert_close(teach(IMAGES, LABELS), weighted(teach.student(IMAGES), LABELS))


def test_tags_with_binary_cross_entropy():
    tags = (torch.rand(8, CLASSES, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    teach = sd.teach(network(), "drg() + dsr()", IMAGES, task=F.binary_cross_entropy_with_logits)
    assert_close(teach(IMAGES, tags).detach(), teach.step.total(teach.losses))
    assert_close(teach.losses["task"], F.binary_cross_entropy_with_logits(teach.logits, tags))
    with pytest.raises(UserError, match=r"csd\(\) reads class ids \[B\], but labels are \[8, 5\] numbers"):
        sd.teach(network(), "csd()", IMAGES, task=F.binary_cross_entropy_with_logits)(IMAGES, tags)


@pytest.mark.parametrize("kind", [RuntimeError, IndexError, KeyError])
def test_an_error_in_a_task_loss_of_ones_own_is_its_own(kind):
    def wrong(logits, labels):
        raise kind("of the caller")

    with pytest.raises(kind, match="of the caller") as found:
        sd.teach(network(), "drg()", IMAGES, task=wrong)(IMAGES, LABELS)
    assert found.traceback[-1].name == "wrong"
    assert found.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("label_smoothing()", r"label_smoothing\(\) has its own task loss"),
        ("mixup()", r"mixup\(\) mixes labels.*leave task= out"),
    ],
)
def test_two_task_losses_are_refused(text, answer):
    with pytest.raises(UserError, match=answer):
        sd.teach(network(), text, IMAGES, task=weighted)


class Masked(nn.Module):
    """The last class cannot be: its logit is minus infinity."""

    def __init__(self):
        super().__init__()
        self.body = network("group")

    def forward(self, images):
        return self.body(images).masked_fill(torch.arange(CLASSES) == CLASSES - 1, -torch.inf)


@pytest.mark.parametrize("text", ["ce()", "kd(teacher='ema')", "dsr()", "max_entropy()", "ps_kd()", "dml()", "focal()"])
def test_masked_classes_add_nothing_to_a_divergence(text):
    options = {"dataset_size": 8, "epochs": 4, "steps_per_epoch": 1}
    teach = sd.teach(Masked(), text, IMAGES, **options)
    for _ in range(3):
        loss = teach(IMAGES, LABELS % (CLASSES - 1), index=torch.arange(8))
        loss.backward()
        assert loss.isfinite()
        assert all(each.grad.isfinite().all() for each in teach.parameters() if each.grad is not None)


def test_losses_that_overflow_are_told():
    teach = sd.teach(network(), "csd(weight=1e38) + dsr(weight=1e38)", IMAGES)
    with torch.no_grad():
        teach.student.fc.weight.mul_(torch.inf)
    with pytest.raises(UserError, match=r"the loss 'task' of csd\(.*is nan: the student's logits are not finite"):
        teach(IMAGES, LABELS)


# --- models


class Pair(nn.Module):
    """Features and logits, in this order."""

    def __init__(self, first="features"):
        super().__init__()
        self.body = network()
        self.first = first

    def forward(self, images):
        features = self.body.pool(self.body.layer3(self.body.layer2(self.body.layer1(self.body.stem(images)))))
        both = features.flatten(1), self.body.fc(features.flatten(1))
        return both if self.first == "features" else both[::-1]


def test_two_matrices_are_not_guessed_between():
    with pytest.raises(UserError, match=r"that may be logits; name them: output=0 \[2, 16\], output=1 \[2, 5\]"):
        sd.teach(Pair(), "ce()", IMAGES)


@pytest.mark.parametrize("output", [1, -1, lambda found: found[1]])
@pytest.mark.parametrize("text", ["csd()", "drg(tap='body.layer1')", "kd(teacher='ema')", "dml()"])
def test_output_names_the_logits(output, text):
    teach = sd.teach(Pair(), text, IMAGES, output=output)
    teach(IMAGES, LABELS).backward()
    assert teach.logits.shape == (8, CLASSES)


def test_an_output_that_is_not_there_is_told():
    with pytest.raises(UserError, match=r"output, a tuple, has no 'logits'; output= must name its logits"):
        sd.teach(Pair(), "ce()", IMAGES, output="logits")


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.projection = network(), nn.Linear(8, 4)

    def forward(self, images):
        return self.body(images)


def test_parameters_that_no_loss_reaches_are_told():
    answer = r"2 parameters of Unused get no gradient, such as projection.weight.*find_unused"
    with pytest.warns(UserWarning, match=answer):
        sd.teach(Unused(), "ce()", IMAGES)


@pytest.mark.parametrize("text", ["scd()", "sad()", "at()"])
def test_flat_attention_maps_are_told(text):
    method, model = sd.methods.parse_method(text), bert()
    networks = {role: bert() for role in method.teachers}
    answer = (
        r"compares the norms of tokens .* at all 3 stages of BertFor.* every token has the same norm, .* stays near 0"
    )
    with pytest.warns(UserWarning, match=answer):
        sd.teach(model, method, texts(), networks=networks)
    for each in model.modules():
        if isinstance(each, nn.LayerNorm):
            nn.init.normal_(each.weight)
    sd.teach(model, method, texts(), networks=networks)


@pytest.mark.parametrize("text", ["byot()", "dks()", "frskd()", "mixskd()", "drg()", "scd()", "sad()"])
def test_a_model_without_stages_is_told(text):
    model = nn.Sequential(nn.Flatten(), nn.Linear(768, 32), nn.ReLU(), nn.Linear(32, CLASSES))
    with pytest.raises(UserError, match="stage"):
        sd.teach(model, text, IMAGES)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_no_method_fails_raw_on_a_model_without_stages(name):
    model = nn.Sequential(nn.Flatten(), nn.Linear(768, 32), nn.ReLU(), nn.Linear(32, CLASSES))
    options = {"dataset_size": 8, "epochs": 4, "steps_per_epoch": 1}
    answer, method = "", sd.methods.parse_method(f"{name}()")
    try:
        sd.teach(model, method, IMAGES, networks={role: network() for role in method.teachers}, **options)
    except UserError as error:
        answer = str(error)
    assert not answer or re.search("stage|tap|position|square|map|needs|optimizer", answer), answer


def old_weight_norm(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.nn.utils.weight_norm(model.fc)
    return model


def pruned(model):
    prune.l1_unstructured(model.layer1.conv, "weight", 0.3)
    return model


def parametrized(model):
    torch.nn.utils.parametrizations.weight_norm(model.fc)
    torch.nn.utils.parametrizations.spectral_norm(model.layer1.conv)
    return model


def old_spectral_norm(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.nn.utils.spectral_norm(model.layer2.conv)
    return model


@pytest.mark.parametrize("change", [old_weight_norm, pruned, parametrized, old_spectral_norm])
@pytest.mark.parametrize("text", ["ce()", "csd()", "drg()", "kd(teacher='ema')", "virtual_softmax()"])
def test_computed_weights_are_taught(change, text):
    model = change(network())
    teach = sd.teach(model, text, IMAGES)
    losses = steps(teach, sgd(teach), 3)
    assert all(loss.isfinite() for loss in losses)
    assert teach.close() is model


def test_a_lazy_model_is_told():
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(CLASSES))
    with pytest.raises(UserError, match="1.weight of Sequential is lazy and has no shape yet; pass one batch"):
        sd.teach(model, "ce()", IMAGES)


class Sparing(nn.Module):
    """A model that recomputes the activations of its second stage."""

    def __init__(self, reentrant):
        super().__init__()
        torch.manual_seed(0)
        self.reentrant = reentrant
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(16, CLASSES)

    def forward(self, images):
        return self.head(checkpoint(self.second, self.first(images), use_reentrant=self.reentrant).mean(dim=(2, 3)))


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # torch's, of the average's pass
@pytest.mark.parametrize("text", ["ce()", "drg(tap='first')", "csd()", "kd(teacher='ema')"])
def test_reentrant_checkpoints_train_alike(text):
    def gradient(reentrant):
        teach = sd.teach(Sparing(reentrant), text, IMAGES)
        teach(IMAGES, LABELS).backward()
        return teach.student.first[0].weight.grad

    assert_close(gradient(True), gradient(False))


def test_a_tap_inside_a_reentrant_checkpoint_is_refused():
    with pytest.raises(UserError, match=r"taps 'second'.*computes without gradient.*use_reentrant=False"):
        sd.teach(Sparing(True), "drg(tap='second')", IMAGES)


# --- optimizers, checkpoints, deployment


@pytest.mark.parametrize("options", [{"fused": True}, {"foreach": True}, {}])
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_forgotten_heads_are_noticed_with_any_optimizer(options, kind):
    model = network()
    teach = sd.teach(model, "drg()", IMAGES)
    with pytest.raises(UserError, match=r"not the heads of drg\(\)"):
        steps(teach, kind(model.parameters(), lr=0.1, **options), 3)
    teach = sd.teach(network(), "drg()", IMAGES)
    steps(teach, kind(teach.parameters(), lr=0.1, **options), 3)


def test_the_state_goes_through_safetensors(tmp_path):
    teach = sd.teach(network(), f"{ALL} + kd(teacher='ema')", IMAGES)
    steps(teach, sgd(teach), 2)
    assert all(isinstance(each, torch.Tensor) for each in teach.state_dict().values())
    save_file({key: each.contiguous() for key, each in teach.state_dict().items()}, tmp_path / "teach.safetensors")
    other = sd.teach(network(seed=3), f"{ALL} + kd(teacher='ema')", IMAGES)
    other.load_state_dict(load_file(tmp_path / "teach.safetensors"))
    assert torch.equal(other(*batch(5)), teach(*batch(5)))


def test_the_average_can_be_validated_while_training():
    teach = sd.teach(network("group"), "ema()", IMAGES)
    steps(teach, sgd(teach), 4)
    average = teach.deployed()
    assert average is not teach.student
    assert not torch.equal(average.fc.weight, teach.student.fc.weight)
    assert torch.equal(average.fc.weight, next(iter(teach.step.networks.values())).network.fc.weight)
    plain = sd.teach(network(), "csd()", IMAGES)
    assert plain.deployed() is plain.student
