"""Pixels as rows."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

import selfdistill as sd
from selfdistill.data.batch import Batch
from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from selfdistill.step.pixels import SampledPixels, sample_labeled
from tests.helpers.kinds import CLASSES, UNet, pixel_labels

IMAGES = torch.randn(4, 3, 16, 24, generator=torch.Generator().manual_seed(0))


def unet(seed=0):
    torch.manual_seed(seed)
    return UNet()


def test_a_dense_model_is_read():
    found = read_anatomy(unet(), IMAGES)
    assert ([each.path for each in found.stages], found.classifier, found.linear) == (
        ["down.0", "down.1", "down.2"],
        "out",
        True,
    )
    assert (found.dense, found.embedding) == (True, (2, 4, 16, 24))


@pytest.mark.parametrize("size", [(16, 24), (5, 7), (1, 1)])
def test_values_are_those_of_the_resized_map(size):
    maps = torch.randn(3, 6, *size, dtype=torch.float64)
    labels = torch.zeros(3, 16, 24, dtype=torch.int64)
    places = torch.arange(labels.numel())
    got = SampledPixels(Batch(maps, labels), places).values(maps)
    resized = F.interpolate(maps, size=(16, 24), mode="bilinear", align_corners=False)
    assert_close(got, resized.movedim(1, -1).flatten(0, 2), rtol=1e-12, atol=1e-12)


@given(st.integers(1, 40), st.integers(0, 10), st.integers(1, 64))
def test_chosen_places_have_a_label_and_differ_by_step(known, step, count):
    labels = torch.full((2, 4, 8), -100)
    labels.view(-1)[torch.randperm(64, generator=torch.Generator().manual_seed(known))[:known]] = 1
    places = sample_labeled(labels, count, torch.tensor(float(step)))
    assert (labels.flatten()[places] == 1).all()
    if count >= known:
        assert len(places.unique()) >= (known + 1) // 2  # spread, not in one place


def test_ce_is_cross_entropy_of_all_labelled_pixels():
    model, labels = unet(), pixel_labels()
    loss = sd.teach(model, "ce()", IMAGES, ignore_index=255)(IMAGES, labels)
    assert_close(loss, F.cross_entropy(model(IMAGES), labels, ignore_index=255), rtol=2e-7, atol=2e-7)


class Quarter(nn.Module):
    """Logits of a quarter of the image's size, as SegFormer gives them."""

    def __init__(self):
        super().__init__()
        self.body, self.out = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, CLASSES, 1)

    def forward(self, images):
        return self.out(self.body(images).relu())


def test_small_logits_are_resized_to_the_labels():
    model, labels = Quarter(), pixel_labels()
    loss = sd.teach(model, "label_smoothing(smoothing=0.2)", IMAGES, ignore_index=255)(IMAGES, labels)
    logits = F.interpolate(model(IMAGES), size=(16, 24), mode="bilinear", align_corners=False)
    spread = 0.2 * CLASSES / (CLASSES - 1)
    assert_close(loss, F.cross_entropy(logits, labels, ignore_index=255, label_smoothing=spread), rtol=1e-6, atol=1e-6)


def test_focal_reads_the_labelled_pixels_alone():
    model, labels = unet(), pixel_labels()
    loss = sd.teach(model, "focal(gamma=2.0)", IMAGES, ignore_index=255)(IMAGES, labels)
    known = labels != 255
    log_p = model(IMAGES).movedim(1, -1)[known].log_softmax(dim=1).gather(1, labels[known][:, None])
    assert_close(loss, -((1 - log_p.exp()) ** 2 * log_p).mean(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("text", ["ce()", "label_smoothing()", "focal()", "drg() + dsr()", "kd()", "adacos()"])
def test_a_batch_without_labels_gives_zero_and_no_gradient(text):
    method = sd.methods.parse_method(text)
    model = unet()
    teach = sd.teach(model, method, IMAGES, networks={role: unet(1) for role in method.teachers}, ignore_index=255)
    loss = teach(IMAGES, torch.full((4, 16, 24), 255))
    loss.backward()
    assert loss == 0
    assert all(each.grad is None or (each.grad == 0).all() for each in teach.parameters())


def test_one_pixel_per_image_is_classification():
    torch.manual_seed(0)
    dense = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, CLASSES, 1))
    whole = nn.Sequential(*dense[:2], nn.Flatten(), nn.Linear(8, CLASSES))
    whole[3].weight.data, whole[3].bias.data = dense[2].weight.data.flatten(1), dense[2].bias.data
    images, labels = torch.randn(8, 3, 1, 1), torch.arange(8) % CLASSES
    one, other = sd.teach(dense, "ce()", images), sd.teach(whole, "ce()", images)
    assert_close(one(images, labels[:, None, None]), other(images, labels))


def test_memories_keep_a_fixed_number_of_pixels_and_resume():
    losses = []
    for restart in (False, True):
        teach = sd.teach(unet(), "dsr(forget='never')", IMAGES, ignore_index=255)
        optimizer = torch.optim.SGD(teach.parameters(), lr=0.1)
        for step in range(4):
            if restart and step == 2:
                state, slow = teach.state_dict(), optimizer.state_dict()
                teach = sd.teach(unet(5), "dsr(forget='never')", IMAGES, ignore_index=255)
                teach.load_state_dict(state)
                optimizer = torch.optim.SGD(teach.parameters(), lr=0.1)
                optimizer.load_state_dict(slow)
            labels = pixel_labels()
            labels[:, :, 24 - 3 * step :] = 255
            loss = teach(IMAGES, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[:4] == losses[4:]
    assert teach.memories[0]["shape"][0].shape == (4096, CLASSES)


@pytest.mark.parametrize("text", ["ce()", "focal()", "dsr()", "drg() + dsr()"])
def test_one_graph(text):
    torch.compiler.reset()
    teach = sd.teach(unet(), text, IMAGES, ignore_index=255, epochs=4, steps_per_epoch=2)
    compiled = torch.compile(teach, backend="eager", fullgraph=True)
    assert compiled(IMAGES, pixel_labels()).isfinite()


@pytest.mark.parametrize(
    ("labels", "answer"),
    [
        (
            torch.zeros(4, dtype=torch.int64),
            r"pixels must be integers \[4, H, W\], but these are int64 \[4\]",
        ),
        (torch.zeros(4, 16, 24), r"labels of pixels must be integers .* float32"),
        (torch.full((4, 16, 24), 5), "labels of pixels must be from 0 to 4, or 255 where unknown, but these include 5"),
    ],
)
def test_other_labels_are_refused(labels, answer):
    teach = sd.teach(unet(), "ce()", IMAGES, ignore_index=255)
    with pytest.raises(UserError, match=answer):
        teach(IMAGES, labels)


def test_torchs_own_ignore_index_is_always_one():
    teach = sd.teach(unet(), "ce()", IMAGES, ignore_index=255)
    assert teach(IMAGES, torch.full((4, 16, 24), -100)) == 0


@pytest.mark.parametrize("text", ["pkt()", "bake()", "rkd()"])
def test_the_pixels_of_one_image_are_enough_to_compare(text):
    method = sd.methods.parse_method(text)
    teach = sd.teach(unet(), method, IMAGES[:1], networks={role: unet(1) for role in method.teachers})
    assert teach(IMAGES[:1], pixel_labels()[:1].clamp(max=CLASSES - 1)).isfinite()


def test_rows_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match=r"rows='tags' does not fit UNet, whose logits are \[2, 5, 16, 24\]"):
        sd.teach(unet(), "ce()", IMAGES, rows="tags")
    with pytest.raises(UserError, match="rows must be one of 'examples', 'pixels', 'tokens', 'tags', but is 'rows'"):
        sd.teach(unet(), "ce()", IMAGES, rows="rows")
    with pytest.raises(UserError, match="task= is a loss of examples, but the model classifies pixels"):
        sd.teach(unet(), "ce()", IMAGES, task=F.cross_entropy)
