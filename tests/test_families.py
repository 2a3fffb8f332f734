"""Models of many families: their parts found without names, and taught with no argument."""

import copy
import warnings

import pytest
import timm
import torch
import torchvision
from torch import nn

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.features import read_anatomy

CLASSES, ROWS = 6, 4
FAMILIES = {  # model: (pixels, paths of its stages, classifier)
    "torchvision/resnet18": (64, "layer1 layer2 layer3 layer4", "fc"),
    "torchvision/mobilenet_v3_small": (64, "features.1 features.3 features.8 features", "classifier.3"),
    "torchvision/efficientnet_b0": (64, "features.2 features.3 features.5 features", "classifier.1"),
    "torchvision/convnext_tiny": (64, "features.1 features.3 features.5 features", "classifier.2"),
    "torchvision/densenet121": (
        64,
        "features.denseblock1 features.denseblock2 features.denseblock3 features.denseblock4",
        "classifier",
    ),
    "torchvision/regnet_y_400mf": (
        64,
        "trunk_output.block1 trunk_output.block2 trunk_output.block3 trunk_output",
        "fc",
    ),
    "torchvision/vgg11_bn": (64, "features.6 features.13 features.20 features.27", "classifier.6"),
    "torchvision/shufflenet_v2_x1_0": (64, "conv1 stage2 stage3 conv5", "fc"),
    "torchvision/squeezenet1_1": (64, "features.1 features.4 features.7 features", "classifier"),
    "torchvision/swin_t": (64, "features.1 features.3 features.5 permute", "head"),
    "torchvision/vit_b_16": (
        32,
        "encoder.layers.encoder_layer_3 encoder.layers.encoder_layer_7 encoder.layers",
        "heads.head",
    ),
    "timm/resnet18d": (64, "layer1 layer2 layer3 layer4", "fc"),
    "timm/vit_tiny_patch16_224": (64, "blocks.3 blocks.7 blocks", "head"),
    "timm/deit_tiny_patch16_224": (64, "blocks.3 blocks.7 blocks", "head"),
    "timm/convnext_atto": (64, "stages.0 stages.1 stages.2 stages", "head.fc"),
    "timm/mobilenetv4_conv_small": (64, "blocks.0 blocks.1 blocks.2 blocks", "classifier"),
    "timm/mixer_s32_224": (64, "blocks.2 blocks.5 blocks", "head"),
    "timm/hrnet_w18_small": (64, "act1 layer1 final_layer", "classifier"),
    "timm/swin_tiny_patch4_window7_224": (64, "layers.0 layers.1 layers.2 norm", "head.fc"),
    "timm/levit_128s": (64, "stem.act3 stages.0 stages.1 stages", None),
}


def make(name, size):
    library, _, rest = name.partition("/")
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' notes on their own initialisation
        if library == "torchvision":
            options = {"image_size": size} if rest.startswith("vit") else {}
            return torchvision.models.get_model(rest, num_classes=CLASSES, **options)
        try:
            return timm.create_model(rest, num_classes=CLASSES, img_size=size)
        except TypeError:
            return timm.create_model(rest, num_classes=CLASSES)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    """A model, images for it, and what should be found in it."""
    size, stages, classifier = FAMILIES[request.param]
    images = torch.randn(ROWS, 3, size, size, generator=torch.Generator().manual_seed(1))
    return make(request.param, size), images, stages.split(), classifier


def test_parts_are_found(family):
    model, images, stages, classifier = family
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    found = read_anatomy(model, images)
    assert [each.path for each in found.stages] == stages
    assert found.classifier == classifier
    assert [each.name for each in found.stages] == [f"stage{k}" for k in range(1, len(stages) + 1)]
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    copy.deepcopy(model)  # no graph is left in it


def test_taught_for_a_step_with_no_argument(family):
    model, images, _, classifier = family
    labels = torch.arange(ROWS) % CLASSES
    if classifier is None:
        with pytest.raises(
            UserError, match=r"csd\(\).*no single module computes this model's logits; pass classifier="
        ):
            sd.teach(model, "scd() + lightskd() + csd()", images)
        return
    teach = sd.teach(model, "scd() + lightskd() + csd()", images)
    teach.train()
    loss = teach(images, labels)
    loss.backward()
    assert loss.isfinite()
    assert all(part.isfinite() for part in teach.losses.values())
    idle = [name for name, each in teach.named_parameters() if each.requires_grad and each.grad is None]
    assert not idle
    features = teach.step._forward_student(images)
    assert {each.dim() for each in features.features.values()} <= {3, 4}
    assert features.embedding.shape[0] == ROWS
    shown, model = features.embedding.detach(), teach.close()
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in model.modules())
    assert shown.dim() == 2


def test_classifier_of_the_embedding_gives_the_logits(family):
    model, images, _, classifier = family
    if classifier is None:
        pytest.skip("no single module computes the logits")
    teach = sd.teach(model.eval(), "csd()", images)
    shown = teach.step._forward_student(images)
    assert torch.allclose(teach.step._classify(shown.embedding), shown.logits, atol=1e-5)
    teach.close()
    model.train()


class Two(nn.Module):
    """Logits as the mean of two heads."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.one, self.other = nn.Linear(8, CLASSES), nn.Linear(8, CLASSES)

    def forward(self, images):
        features = self.body(images)
        return {"logits": (self.one(features) + self.other(features)) / 2}


def test_a_named_classifier_is_taken():
    images = torch.randn(ROWS, 3, 16, 16)
    with pytest.raises(UserError, match="no single module"):
        sd.teach(Two(), "csd()", images)
    teach = sd.teach(Two(), "csd()", images, classifier="one")
    assert teach(images, torch.arange(ROWS)).isfinite()
    with pytest.raises(UserError, match=r"no module 'body' that outputs logits.*these do: one, other"):
        sd.teach(Two(), "csd()", images, classifier="body")


def test_in_place_layers_are_refused_with_the_way_out():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 6),
    )
    with pytest.raises(UserError, match="a later module changes '1' in place.*tap '2' instead"):
        sd.teach(model, "drg(tap='1')", torch.randn(4, 3, 8, 8))
    assert sd.teach(model, "drg(tap='2')", torch.randn(4, 3, 8, 8)) is not None


def test_stages_too_small_for_maps_are_left_out():
    model, images = make("torchvision/resnet18", 32), torch.randn(4, 3, 32, 32)
    found = read_anatomy(model, images)
    assert found.stage_names() == ["stage1", "stage2", "stage3", "stage4"]
    assert found.stage_names(spatial=True) == ["stage1", "stage2", "stage3"]
    assert sd.teach(model, "scd()", images).step.terms["similarity"].matched == [
        ("stage1", "stage2"),
        ("stage2", "stage3"),
    ]


def test_idle_parameters_are_named():
    class Aux(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
            self.head, self.aux = nn.Linear(8, 6), nn.Linear(8, 6)

        def forward(self, images):
            features = self.body(images)
            return (self.head(features), self.aux(features)) if self.training else self.head(features)

    found = read_anatomy(Aux(), torch.randn(2, 3, 8, 8))
    assert found.params_without_grad == ("aux.weight", "aux.bias")
    assert found.auxiliary == {"1": ("aux.weight", "aux.bias")}
    assert found.classifier == "head"


def test_layouts_are_handed_out_alike():
    images = torch.randn(2, 3, 64, 64)
    teach = sd.teach(make("timm/swin_tiny_patch4_window7_224", 64), "scd()", images)
    shapes = [tuple(each.shape[1:]) for each in teach.step._forward_student(images).features.values()]
    assert shapes == [(96, 16, 16), (192, 8, 8), (384, 4, 4), (768, 2, 2)]
