"""The stages, embedding and classifier found in the libraries' models are those a reader would name."""

import pytest

from selfdistill.features import read_anatomy
from selfdistill.features.layout import Layout
from tests.helpers.classifiers import images, paths, plain, sizes, tm, tv

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
    found = read_anatomy(library(name, **options), images(pixels))
    assert (paths(found), found.classifier, sizes(found)) == (stages, classifier, sides)
    assert found.logits == (2, 10)
    assert found.params_without_grad == ()
    assert all(each.name == f"stage{k}" for k, each in enumerate(found.stages, start=1))


def test_a_layout_of_channels_last_is_handed_out_channels_first():
    found = read_anatomy(tv("swin_t"), images(64))
    assert [each.layout for each in found.stages] == [Layout.CHANNELS_LAST] * 3 + [Layout.CHANNELS_FIRST]
    assert [each.shape for each in found.stages] == [
        (2, 96, 16, 16),
        (2, 192, 8, 8),
        (2, 384, 4, 4),
        (2, 768, 2, 2),
    ]
    assert found.stage_names(spatial=True) == ["stage1", "stage2", "stage3", "stage4"]


def test_embedding_keeps_the_shape_its_classifier_takes():
    found = read_anatomy(tv("squeezenet1_1"), images(64))
    assert (found.embedding, found.classifier_input) == ((2, 512 * 9), (512, 3, 3))


def test_stages_too_small_for_maps_are_left_out():
    found = read_anatomy(tv("resnet18"), images(32))
    assert found.stage_names() == ["stage1", "stage2", "stage3", "stage4"]
    assert found.stage_names(spatial=True) == ["stage1", "stage2", "stage3"]
    assert found.stages[-1].shape == (2, 512, 1, 1)


def test_heads_without_gradient_are_named():
    assert (
        read_anatomy(tv("googlenet", init_weights=False), images(64)).params_without_grad[0] == "aux1.conv.conv.weight"
    )
    frozen = plain().requires_grad_(False)
    assert read_anatomy(frozen, images()).params_without_grad == ()


def test_one_image_is_enough():
    assert paths(read_anatomy(tv("resnet18"), images(32, rows=1))) == "layer1 layer2 layer3 avgpool"
