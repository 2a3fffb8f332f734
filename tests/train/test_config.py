import json

import pytest

from selfdistill.errors import UserError
from selfdistill.train.config import RunConfig


def test_json_gives_back_the_same_configuration():
    config = RunConfig(
        "drg()", milestones=(0.3, 0.6), weights="w.pt", limit=50, decay_norms=False, crop_scale=(0.2, 1.0)
    )
    assert RunConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_fields_of_other_versions_are_left_out():
    assert RunConfig.from_json({"method": "ce()", "sharpness": 3}) == RunConfig("ce()")


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("epochs", 0, "epochs must be above 0, but is 0"),
        ("batch_size", 0, "batch size must be 1 or more, but is 0"),
        ("lr", 0.0, "lr must be above 0, but is 0.0"),
        ("lr", float("nan"), "lr must be a number, but is nan"),
        ("momentum", 1.0, "momentum must be from 0 to below 1, but is 1.0"),
        ("weight_decay", -0.1, "weight decay must be 0 or more, but is -0.1"),
        ("milestones", (0.5, 60), "milestones must be fractions between 0 and 1, but is (0.5, 60)"),
        ("gamma", 0, "gamma must be above 0, but is 0.0"),
        ("warmup", 21, "warmup must be from 0 to the 20 epochs, but is 21"),
        ("limit", 0, "limit must be 1 or more, but is 0"),
        ("validation", 1.0, "validation must be a fraction from 0 to below 1, but is 1.0"),
        ("label_noise", 1.0, "label noise must be a fraction from 0 to below 1, but is 1.0"),
        ("label_noise", -0.1, "label noise must be a fraction from 0 to below 1, but is -0.1"),
        ("size", 0, "size must be 1 or more, but is 0"),
        ("crop_scale", (0.5,), "crop scale must be a smallest and a largest area above 0, at most 1, but is (0.5,)"),
        (
            "crop_scale",
            (0.9, 0.5),
            "crop scale must be a smallest and a largest area above 0, at most 1, but is (0.9, 0.5)",
        ),
        ("decode_workers", -1, "decode workers must be 0 or more, but is -1"),
        ("crop_pct", 0, "crop pct must be a share above 0, at most 1, but is 0.0"),
        ("crop_pct", 1.5, "crop pct must be a share above 0, at most 1, but is 1.5"),
        ("test_interpolation", "cubic", "test interpolation must be 'bilinear' or 'bicubic', but is 'cubic'"),
        ("normalization", "imagenet", "normalization must be auto or data, but is imagenet"),
        ("jitter", 2, "jitter must be from 0 to 1, but is 2.0"),
        ("erase", -0.1, "erase must be a probability from 0 to 1, but is -0.1"),
        ("interpolation", "cubic", "interpolation must be 'bilinear' or 'bicubic', but is 'cubic'"),
        ("schedule", "cubic", "schedule must be cosine or step or linear or constant, but is cubic"),
        ("accelerator", "tpu", "accelerator must be auto or cpu or gpu or cuda or mps, but is tpu"),
        ("precision", "8", "precision must be 32 or bf16 or 16, but is 8"),
    ],
)
def test_values_that_no_run_could_have(field, value, text):
    with pytest.raises(UserError) as told:
        RunConfig(**{"method": "ce()", "epochs": 20, field: value})
    assert str(told.value) == text


def test_an_unknown_augmentation_is_told():
    with pytest.raises(UserError, match="augment must be auto, none, .*; but is strong"):
        RunConfig("ce()", augment="strong")
