"""The stages, embedding and classifier that are found are those a reader of the model would name."""

import copy
import pickle
import warnings

import pytest
import timm
import torch
import torchvision
from torch import nn

from selfdistill import anatomy
from selfdistill.errors import UserError
from selfdistill.layout import Layout
from selfdistill.probe import logits_of
from tests.networks import network


def images(size=32, rows=2, seed=0):
    return torch.randn(rows, 3, size, size, generator=torch.Generator().manual_seed(seed))


def tv(name, **options):
    return torchvision.models.get_model(name, weights=None, num_classes=10, **options)


def tm(name, **options):
    return timm.create_model(name, num_classes=10, **options)


def paths(found):
    return " ".join(each.path for each in found.stages)


def sizes(found):
    return [each.shape[2] if len(each.shape) == 4 else each.shape[1] for each in found.stages]


LAYERS = "layer1 layer2 layer3 layer4"
BLOCKS = "blocks.3 blocks.7 blocks"
# model, options, pixels, stages, classifier, side or number of tokens at each stage
KNOWN = [
    (tv, "resnet18", {}, 64, LAYERS, "fc", [16, 8, 4, 2]),
    (
        tv,
        "mobilenet_v3_small",
        {},
        64,
        "features.1 features.3 features.8 features",
        "classifier.3",
        [16, 8, 4, 2],
    ),
    (
        tv,
        "efficientnet_b0",
        {},
        64,
        "features.2 features.3 features.5 features",
        "classifier.1",
        [16, 8, 4, 2],
    ),
    (tv, "convnext_tiny", {}, 64, "features.1 features.3 features.5 features", "classifier.2", [16, 8, 4, 2]),
    (
        tv,
        "densenet121",
        {},
        64,
        "features.denseblock1 features.denseblock2 features.denseblock3 features.denseblock4",
        "classifier",
        [16, 8, 4, 2],
    ),
    (
        tv,
        "regnet_y_400mf",
        {},
        64,
        "trunk_output.block1 trunk_output.block2 trunk_output.block3 trunk_output",
        "fc",
        [16, 8, 4, 2],
    ),
    (
        tv,
        "vgg11_bn",
        {"init_weights": False},
        32,
        "features.6 features.13 features.20 features.27",
        "classifier.6",
        [16, 8, 4, 2],
    ),
    (tv, "shufflenet_v2_x1_0", {}, 64, "conv1 stage2 stage3 conv5", "fc", [32, 8, 4, 2]),
    (tv, "swin_t", {}, 64, "features.1 features.3 features.5 permute", "head", [16, 8, 4, 2]),
    (
        tv,
        "vit_b_16",
        {"image_size": 32},
        32,
        "encoder.layers.encoder_layer_3 encoder.layers.encoder_layer_7 encoder.layers",
        "heads.head",
        [5, 5, 5],
    ),
    (tv, "squeezenet1_1", {}, 64, "features.1 features.4 features.7 features", "classifier", [31, 15, 7, 3]),
    (tv, "squeezenet1_1", {}, 32, "features.1 features.4 features.7 features", "classifier", [15, 7, 3, 1]),
    (tm, "resnet18d", {}, 64, LAYERS, "fc", [16, 8, 4, 2]),
    (tm, "vit_tiny_patch16_224", {"img_size": 64}, 64, BLOCKS, "head", [17, 17, 17]),
    (tm, "deit_tiny_patch16_224", {"img_size": 64}, 64, BLOCKS, "head", [17, 17, 17]),
    (tm, "convnext_atto", {}, 64, "stages.0 stages.1 stages.2 stages", "head.fc", [16, 8, 4, 2]),
    (tm, "mobilenetv4_conv_small", {}, 64, "blocks.0 blocks.1 blocks.2 blocks", "classifier", [16, 8, 4, 2]),
    (tm, "mixer_s32_224", {"img_size": 64}, 64, "blocks.2 blocks.5 blocks", "head", [4, 4, 4]),
    (
        tm,
        "pit_ti_224",
        {"img_size": 64},
        64,
        "pos_drop transformers.1.blocks transformers.2.blocks",
        "head",
        [7, 17, 5],
    ),
    (tm, "levit_128s", {"img_size": 64}, 64, "stem.act3 stages.0 stages.1 stages", None, [8, 16, 4, 1]),
]


@pytest.mark.parametrize(
    ("library", "name", "options", "pixels", "stages", "classifier", "sides"),
    KNOWN,
    ids=[f"{name}-{pixels}" for _, name, _, pixels, *_ in KNOWN],
)
def test_known_models(library, name, options, pixels, stages, classifier, sides):
    found = anatomy.read(library(name, **options), images(pixels))
    assert (paths(found), found.classifier, sizes(found)) == (stages, classifier, sides)
    assert found.logits == (2, 10)
    assert found.idle == ()
    assert all(each.name == f"stage{k}" for k, each in enumerate(found.stages, start=1))


def test_a_layout_of_channels_last_is_handed_out_channels_first():
    found = anatomy.read(tv("swin_t"), images(64))
    assert [each.layout for each in found.stages] == [Layout.NHWC] * 3 + [Layout.NCHW]
    assert [each.shape for each in found.stages] == [
        (2, 96, 16, 16),
        (2, 192, 8, 8),
        (2, 384, 4, 4),
        (2, 768, 2, 2),
    ]
    assert found.stages_named(maps=True) == ["stage1", "stage2", "stage3", "stage4"]


class PreAct(nn.Module):
    """A block of He et al.'s second paper; its activations overwrite what the norms put out."""

    def __init__(self, width, out, stride):
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(out)
        self.conv1 = nn.Conv2d(width, out, 3, stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.short = nn.Conv2d(width, out, 1, stride, bias=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features):
        active = self.relu(self.norm1(features))
        return self.conv2(self.relu(self.norm2(self.conv1(active)))) + self.short(active)


class PreActNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.layer1, self.layer2 = PreAct(8, 8, 1), PreAct(8, 16, 2)
        self.layer3 = PreAct(16, 32, 2)
        self.norm, self.relu, self.fc = nn.BatchNorm2d(32), nn.ReLU(inplace=True), nn.Linear(32, 4)

    def forward(self, images):
        deep = self.layer3(self.layer2(self.layer1(self.stem(images))))
        return self.fc(self.relu(self.norm(deep)).mean((2, 3)))


def plain(*ending):
    steps = [
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
    ]
    return nn.Sequential(*steps, nn.AdaptiveAvgPool2d(1), *(ending or (nn.Flatten(), nn.Linear(16, 4))))


class Around(nn.Module):
    """A network whose answer is made of another's."""

    def __init__(self, inner, answer):
        super().__init__()
        self.inner, self.answer = inner, answer

    def forward(self, images):
        return self.answer(self.inner(images))


class Product(nn.Module):
    """Logits by a bare product: no module makes them."""

    def __init__(self):
        super().__init__()
        self.features, self.weight = plain(nn.Flatten()), nn.Parameter(torch.randn(4, 16))

    def forward(self, images):
        return self.features(images) @ self.weight.T


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.one, self.other = plain(nn.Flatten()), nn.Linear(16, 4), nn.Linear(16, 4)

    def forward(self, images):
        features = self.features(images)
        return (self.one(features) + self.other(features)) / 2


def unpadded():
    """Sides of 30, 28 and 14: the second is no drop of resolution."""
    first = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.MaxPool2d(2)
    second = (
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 4),
    )
    return nn.Sequential(*first, *second)


class SharedReLU(nn.Module):
    """Its one activation module is called at every resolution; a tap there shows the last."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, 2, padding=1)
        self.relu, self.fc = nn.ReLU(), nn.Linear(16, 4)

    def forward(self, images):
        return self.fc(self.relu(self.conv2(self.relu(self.conv1(images)))).mean((2, 3)))


class TwoStreams(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other, self.fc = plain(nn.Flatten()), plain(nn.Flatten()), nn.Linear(16, 4)

    def forward(self, images):
        return self.fc(self.one(images) + self.other(images))


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 16), nn.ReLU(), nn.Linear(16, 4))


@pytest.mark.parametrize(
    ("make", "stages", "classifier", "embedding"),
    [
        (plain, "1 4", "7", (2, 16)),
        (PreActNet, "layer1 layer2 relu", "fc", (2, 32)),
        (Product, "features.1 features.4", None, None),
        (lambda: Around(plain(), lambda logits: {"logits": logits}), "inner.1 inner.4", "inner.7", (2, 16)),
        (lambda: Around(Product(), lambda logits: logits), "inner.features.1 inner.features.4", None, None),
        (lambda: plain(nn.Conv2d(16, 4, 1), nn.Flatten()), "1 4", "6", (2, 16)),
        (mlp, "", "3", (2, 16)),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4)), "", "1", (2, 3 * 32 * 32)),
        (unpadded, "3 6", "9", (2, 16)),
        (SharedReLU, "conv1 relu", "fc", (2, 16)),
        (TwoStreams, "", "fc", (2, 16)),
    ],
    ids=[
        "sequential",
        "preact",
        "product",
        "dict",
        "wrapped product",
        "conv head",
        "mlp",
        "linear",
        "unpadded",
        "shared relu",
        "two streams",
    ],
)
def test_peoples_own_networks(make, stages, classifier, embedding):
    found = anatomy.read(make(), images())
    assert (paths(found), found.classifier, found.embedding) == (stages, classifier, embedding)


def test_blocks_of_tokens():
    found = anatomy.read(network("tokens"), images(16))
    assert (paths(found), found.embedding) == ("blocks.0 blocks.1 blocks", (2, 16))


def test_logits_changed_in_place_have_no_classifier():
    cooled = Around(plain(), lambda logits: logits.div_(3))
    assert anatomy.read(cooled, images()).classifier is None


class OtherInTraining(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.fc = plain(nn.Flatten()), nn.Linear(16, 4)

    def forward(self, images):
        logits = self.fc(self.features(images))
        return logits * 2 if self.training else logits


def test_a_classifier_must_make_the_logits_in_training_too():
    assert anatomy.read(OtherInTraining(), images()).classifier is None


def test_one_head_of_two_can_be_chosen():
    assert anatomy.read(TwoHeads(), images()).classifier is None
    found = anatomy.read(TwoHeads(), images(), classifier="other")
    assert (found.classifier, found.embedding, found.classifier_input) == ("other", (2, 16), (16,))
    with pytest.raises(
        UserError, match=r"TwoHeads has no module 'head' that gives logits \[2, 4\]; these do: one, other"
    ):
        anatomy.read(TwoHeads(), images(), classifier="head")


def test_embedding_keeps_the_shape_its_classifier_takes():
    found = anatomy.read(tv("squeezenet1_1"), images(64))
    assert (found.embedding, found.classifier_input) == ((2, 512 * 9), (512, 3, 3))


def test_stages_too_small_for_maps_are_left_out():
    found = anatomy.read(tv("resnet18"), images(32))
    assert found.stages_named() == ["stage1", "stage2", "stage3", "stage4"]
    assert found.stages_named(maps=True) == ["stage1", "stage2", "stage3"]
    assert found.stages[-1].shape == (2, 512, 1, 1)


def test_names_of_taps():
    found = anatomy.read(PreActNet(), images())
    assert found.stage("stage2").path == found.stage("stage-2").path == found.stage("layer2").path == "layer2"
    assert found.stage("layer2.conv1").shape == (2, 16, 16, 16)
    assert found.stage("stage-1").path == "relu"
    assert (found.stage("embedding").path, found.stage("embedding").shape) == ("fc", (2, 32))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("stage7", r"nothing to tap at 'stage7'; its stages are stage1 \(layer1\), .*, stage3 \(relu\)"),
        ("layer2.convl", r"nothing to tap at 'layer2.convl'.*did you mean .*'layer2.conv1'"),
        ("layer2.norm2", r"what follows 'layer2.norm2' changes it in place.*tap 'layer2.relu' instead"),
    ],
)
def test_wrong_names_of_taps(name, message):
    with pytest.raises(UserError, match=message):
        anatomy.read(PreActNet(), images()).stage(name)


def test_no_embedding_without_a_classifier():
    with pytest.raises(UserError, match=r"no one module makes the logits of Product.*classifier='head'"):
        anatomy.read(Product(), images()).stage("embedding")


def test_outputs_overwritten_in_training_alone_are_not_tapped():
    noisy = plain(nn.Dropout(0.5, inplace=True), nn.Flatten(), nn.Linear(16, 4))
    with pytest.raises(UserError, match=r"what follows '5' changes it in place.*tap '6' instead"):
        anatomy.read(noisy, images()).stage("5")


def test_heads_without_gradient_are_named():
    assert anatomy.read(tv("googlenet", init_weights=False), images(64)).idle[0] == "aux1.conv.conv.weight"
    frozen = plain().requires_grad_(False)
    assert anatomy.read(frozen, images()).idle == ()


def test_a_frozen_backbone_is_read():
    model = PreActNet()
    model.layer1.requires_grad_(False)
    assert paths(anatomy.read(model, images())) == "layer1 layer2 relu"


def test_the_anatomy_is_plain_data():
    found = anatomy.read(PreActNet(), images())
    assert pickle.loads(pickle.dumps(found)) == found
    assert len(pickle.dumps(found)) < 20_000


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_images_are_cast_to_the_models_dtype(dtype):
    assert anatomy.read(plain().to(dtype), images()).classifier == "7"


def test_one_image_is_enough():
    assert paths(anatomy.read(tv("resnet18"), images(32, rows=1))) == "layer1 layer2 layer3 avgpool"


def test_no_draw_is_used_up():
    noisy, random = plain(nn.Dropout(), nn.Flatten(), nn.Linear(16, 4)), torch.get_rng_state()
    anatomy.read(noisy, images())
    assert torch.equal(torch.get_rng_state(), random)


def test_the_model_is_untouched():
    model = tm("levit_128s", img_size=64)
    model.stages[0].eval()
    modes = [each.training for each in model.modules()]
    state = copy.deepcopy(model.state_dict())
    anatomy.read(model, images(64))
    assert [each.training for each in model.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in model.modules())
    assert all(each.grad is None for each in model.parameters())
    copy.deepcopy(model)  # levit caches its attention biases: with a graph behind them, this would raise


def test_a_model_that_cannot_be_copied_says_so():
    model = plain()
    model.cache = model[0].weight * 2
    with pytest.raises(UserError, match=r"Sequential cannot be copied.*before its first pass"):
        anatomy.read(model, images())


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: torch.compile(plain()), "compile the step, not the model"),
        (lambda: nn.DataParallel(plain()), "wrapped in DataParallel; wrap the teach, not the model"),
        (lambda: "resnet18", "this is a str"),
        (nn.Identity, "Identity has no parameters"),
    ],
    ids=["compiled", "DataParallel", "no module", "no parameters"],
)
def test_models_that_cannot_be_read(made, message):
    with pytest.raises(UserError, match=message):
        anatomy.read(made(), images())


def test_a_model_compiled_in_place_is_refused():
    model = plain()
    model.compile()
    with pytest.raises(UserError, match="compile the step, not the model"):
        anatomy.read(model, images())


def test_a_script_is_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls scripting itself deprecated
        script = torch.jit.script(plain())
    with pytest.raises(UserError, match="a ScriptModule takes no hooks"):
        anatomy.read(script, images())


def test_a_distributed_model_is_refused(tmp_path):
    store = f"file://{tmp_path / 'store'}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    try:
        with pytest.raises(UserError, match="wrapped in DistributedDataParallel; wrap the teach"):
            anatomy.read(nn.parallel.DistributedDataParallel(plain()), images())
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.zeros(3, 32, 32), r"float tensor \[B, 3, H, W\], but this is torch.float32 \[3, 32, 32\]"),
        (torch.zeros(2, 3, 32, 32, dtype=torch.uint8), "but this is torch.uint8"),
        (torch.zeros(0, 3, 32, 32), r"\[0, 3, 32, 32\]"),
        ([1, 2], "but this is list"),
        (torch.zeros(2, 1, 32, 32), "cannot take images of 1 channels and 32x32 pixels: .*expected input"),
    ],
    ids=["one image", "bytes", "no rows", "list", "grey"],
)
def test_images_that_cannot_be_read(given, message):
    with pytest.raises(UserError, match=message):
        anatomy.read(plain(), given)


def test_images_too_small_for_the_model():
    with pytest.raises(UserError, match=r"SqueezeNet in eval mode cannot take images of .* 4x4 pixels: .*output size"):
        anatomy.read(tv("squeezenet1_1"), images(4))


def test_failing_in_training_alone_is_told():
    norm = nn.Sequential(nn.Conv2d(3, 4, 32), nn.Flatten(0), nn.Unflatten(0, (1, 8)), nn.BatchNorm1d(8))
    with pytest.raises(UserError, match=r"in train mode cannot take .* Expected more than 1 value per channel"):
        anatomy.read(norm, images(32))


def test_logits_are_rows_of_classes():
    with pytest.raises(UserError, match=r"gives \[2, 16, 1, 1\] for its logits; a classifier gives \[B, C\]"):
        anatomy.read(plain(nn.Identity()), images())


class Answer:
    logits = torch.ones(1)


@pytest.mark.parametrize(
    "output",
    [torch.ones(1), Answer(), {"logits": torch.ones(1), "aux": 0}, (torch.ones(1), 0), [(torch.ones(1),), 0]],
    ids=["tensor", "attribute", "dict", "tuple", "nested"],
)
def test_logits_in_what_a_model_returns(output):
    assert torch.equal(logits_of(output), torch.ones(1))


@pytest.mark.parametrize("output", [None, (), {"out": torch.ones(1)}], ids=["none", "empty", "other key"])
def test_no_logits_in_what_a_model_returns(output):
    with pytest.raises(UserError, match=f"returned a {type(output).__name__}; it should return logits"):
        logits_of(output)
