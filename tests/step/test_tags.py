"""Tags as rows: the identities of Bernoulli distributions."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close
from torchvision.ops import sigmoid_focal_loss

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.step.tags import tag_logits
from tests.helpers.kinds import CLASSES, ROWS, convolutions, draws

IMAGES = torch.randn(ROWS, 3, 16, 16, generator=draws())
TAGS = (torch.rand(ROWS, CLASSES, generator=draws()) < 0.4).float()


def loss_and_logits(text, labels=TAGS, **options):
    torch.manual_seed(0)
    teach = sd.teach(convolutions(3), text, IMAGES, rows="tags", **options)
    return teach(IMAGES, labels), teach


def test_cross_entropy_is_binary_cross_entropy():
    loss, teach = loss_and_logits("ce()")
    assert_close(loss, F.binary_cross_entropy_with_logits(teach.logits, TAGS))


def test_smoothing_smooths_each_tag():
    loss, teach = loss_and_logits("label_smoothing(smoothing=0.1)")
    assert_close(loss, F.binary_cross_entropy_with_logits(teach.logits, TAGS * 0.8 + 0.1))


def test_focal_is_the_sigmoid_focal_loss():
    loss, teach = loss_and_logits("focal(gamma=2.0)")
    assert_close(loss, sigmoid_focal_loss(teach.logits, TAGS, alpha=-1, gamma=2.0, reduction="mean"))


def test_kd_is_the_mean_divergence_of_bernoulli_distributions():
    torch.manual_seed(1)
    teacher = convolutions(3)
    _, teach = loss_and_logits("kd(temperature=3.0)", networks={"teacher": teacher})
    (name,) = teach.losses.keys() - {"task"}
    own, theirs = (each / 3.0 for each in (teach.logits, teacher.eval()(IMAGES)))
    p, q = theirs.sigmoid(), own.sigmoid()
    gap = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    assert_close(teach.losses[name], 9 * gap.mean(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("text", ["ce()", "focal()", "label_smoothing()"])
def test_unknown_tags_are_left_out(text):
    labels = TAGS.clone()
    labels[0, 2], labels[3] = 7, 7
    loss, teach = loss_and_logits(text, labels, ignore_index=7)
    known = labels != 7
    losses = {
        "ce()": lambda z, y: F.binary_cross_entropy_with_logits(z, y),
        "focal()": lambda z, y: sigmoid_focal_loss(z, y, alpha=-1, gamma=2.0, reduction="mean"),
        "label_smoothing()": lambda z, y: F.binary_cross_entropy_with_logits(z, y * 0.8 + 0.1),
    }
    assert_close(loss, losses[text](teach.logits[known], labels[known]))


@pytest.mark.parametrize("text", ["ce()", "focal()", "drg() + dsr()"])
def test_one_graph(text):
    torch.compiler.reset()
    teach = sd.teach(convolutions(3), text, IMAGES, rows="tags", ignore_index=7)
    labels = torch.where(torch.arange(CLASSES) == 2, 7, TAGS)
    compiled = torch.compile(teach, backend="eager", fullgraph=True)
    assert compiled(IMAGES, labels).isfinite()


def test_mixed_examples_mix_their_tags():
    torch.manual_seed(0)
    teach = sd.teach(convolutions(3), "mixup()", IMAGES, rows="tags")
    batch = teach.mixing(sd.Batch(IMAGES, TAGS), torch.Generator().manual_seed(3))
    targets = sum(
        share[:, None] * TAGS[rows] for share, rows in zip(batch.mix.shares.T, batch.mix.partners.T, strict=True)
    )
    assert_close(teach(batch), F.binary_cross_entropy_with_logits(teach.logits, targets))


def test_one_tag_is_a_problem_of_two_classes():
    logits = torch.randn(6, 1)
    labels = torch.tensor([0, 1, 1, 0, 1, 0])
    assert_close(
        F.cross_entropy(tag_logits(logits), labels), F.cross_entropy(torch.cat([0 * logits, logits], dim=1), labels)
    )


def test_a_batch_without_known_tags_gives_zero():
    for text in ("ce()", "focal()"):
        loss, _ = loss_and_logits(text, torch.full_like(TAGS, -100))
        assert loss == 0


def test_a_teacher_teaches_unknown_tags_too():
    torch.manual_seed(1)
    networks = {"teacher": convolutions(3)}
    (unknown, _), (known, teach) = (
        loss_and_logits("kd()", labels, networks=networks) for labels in (torch.full_like(TAGS, -100), TAGS)
    )
    assert_close(unknown, known - teach.losses["task"] * teach.step.weight("task"))


def labels_with_unknown(dtype):
    labels = TAGS.to(dtype)
    labels[:, 1:] = 255 if dtype == torch.uint8 else -100
    return labels


LABEL_READERS = ["ce()", "focal()", "label_smoothing()", "mixup()", "focal() + mixup()"]


@pytest.mark.parametrize("text", [*LABEL_READERS, "kd(divergence='dkd')", "tf_kd(kind='reg')"])
def test_logits_of_unknown_tags_change_nothing(text):
    method = sd.methods.parse_method(text)
    losses = []
    for shift in (0.0, 3.0):
        torch.manual_seed(0)
        model, networks = convolutions(3), {role: convolutions(3) for role in method.teachers}
        with torch.no_grad():
            model[-1].bias[1:] += shift
        teach = sd.teach(model, method, IMAGES, networks=networks, rows="tags")
        losses.append(teach(IMAGES, labels_with_unknown(torch.float32)))
    losses[1].backward()
    assert_close(losses[0], losses[1])
    assert (model[-1].bias.grad[1:] == 0).all()


def test_mixed_known_tags_keep_their_weight():
    torch.manual_seed(0)
    teach = sd.teach(convolutions(3), "mixup()", IMAGES, rows="tags")
    batch = teach.mixing(sd.Batch(IMAGES, labels_with_unknown(torch.float32)), torch.Generator().manual_seed(3))
    targets = (batch.mix.shares * TAGS[batch.mix.partners, 0]).sum(dim=1)
    assert_close(teach(batch), F.binary_cross_entropy_with_logits(teach.logits[:, 0], targets))


def test_tags_of_bytes_keep_their_ignore_index():
    loss, teach = loss_and_logits("ce()", labels_with_unknown(torch.uint8), ignore_index=255)
    assert_close(loss, F.binary_cross_entropy_with_logits(teach.logits[:, 0], TAGS[:, 0]))


@pytest.mark.parametrize(
    ("labels", "answer"),
    [
        (TAGS[:, :3], r"labels of tags must be \[8, 5\], one for each logit, but these are float32 \[8, 3\]"),
        (TAGS * 0.3, "labels of tags must be from 0 to 1, or -100 where unknown, but these include 0.3"),
        (torch.arange(ROWS), "labels of tags must be"),
    ],
)
def test_other_labels_are_refused(labels, answer):
    with pytest.raises(UserError, match=answer):
        loss_and_logits("ce()", labels)


def test_tags_must_be_said():
    with pytest.raises(UserError, match="rows='tags' for several tags per example"):
        sd.teach(convolutions(3), "ce()", IMAGES)(IMAGES, TAGS)


def test_one_example_of_several_tags_is_one_embedding():
    teach = sd.teach(convolutions(3), "pkt()", IMAGES[:2], rows="tags", networks={"teacher": convolutions(3)})
    with pytest.raises(
        UserError, match=r"pkt\(\) compares the rows of a batch .* needs 2 at least, but this batch has 1"
    ):
        teach(IMAGES[:1], TAGS[:1])
