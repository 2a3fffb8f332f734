"""Small classifiers of many kinds of inputs, and batches for them."""

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from selfdistill.inputs import map_tensors

ROWS, CLASSES = 8, 5
LABELS = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2])


def draws():
    return torch.Generator().manual_seed(0)


def convolutions(channels, dims=2):
    """Three stages of convolutions, a pool and a linear classifier."""
    conv, norm = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1], (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[dims - 1]
    pool = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)[dims - 1](1)
    widths = [channels, 8, 12, 16]
    stages = [
        nn.Sequential(conv(own, out, 3, stride=1 + (k > 0), padding=1), norm(out), nn.ReLU())
        for k, (own, out) in enumerate(pairwise(widths))
    ]
    return nn.Sequential(*stages, pool, nn.Flatten(), nn.Linear(16, CLASSES))


class ImageAndTable(nn.Module):
    """An image and a table of numbers, joined before the classifier."""

    def __init__(self):
        super().__init__()
        *stages, _ = convolutions(3)
        self.image, self.table = nn.Sequential(*stages), nn.Linear(6, 4)
        self.head = nn.Linear(20, CLASSES)

    def forward(self, image, table):
        return self.head(torch.cat([self.image(image), self.table(table).relu()], dim=1))


class Recurrent(nn.Module):
    """Token ids, an embedding and an LSTM, which returns a tuple."""

    def __init__(self):
        super().__init__()
        self.embed, self.lstm = nn.Embedding(50, 8), nn.LSTM(8, 12, batch_first=True)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, ids):
        return self.head(self.lstm(self.embed(ids))[0][:, -1])


class AuxiliaryLogits(nn.Module):
    """A network that returns a second head's logits in training."""

    def __init__(self):
        super().__init__()
        self.stem, self.middle, self.deep, pool, flat, self.head = convolutions(3)
        self.pool, self.aux = nn.Sequential(pool, flat), nn.Linear(12, CLASSES)

    def forward(self, images):
        middle = self.middle(self.stem(images))
        logits = self.head(self.pool(self.deep(middle)))
        return (logits, self.aux(self.pool(middle))) if self.training else logits


def weight_normed():
    model = convolutions(3)
    nn.utils.parametrizations.weight_norm(model[-1])
    return model


def mlp():
    return nn.Sequential(
        *[nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 16), nn.ReLU()],
        nn.Linear(16, CLASSES),
    )


def bert(kind="SequenceClassification"):
    import transformers

    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        num_labels=CLASSES,
    )
    return getattr(transformers, f"BertFor{kind}")(config)


def distilbert(kind="SequenceClassification"):
    import transformers

    config = transformers.DistilBertConfig(
        vocab_size=50, dim=16, n_layers=3, n_heads=2, hidden_dim=32, max_position_embeddings=32, num_labels=CLASSES
    )
    return getattr(transformers, f"DistilBertFor{kind}")(config)


class Tagger(nn.Module):
    """Token ids, an embedding and an LSTM, whose every output is classified."""

    def __init__(self):
        super().__init__()
        self.embed, self.lstm = nn.Embedding(50, 8), nn.LSTM(8, 6, batch_first=True, bidirectional=True)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, ids):
        return self.head(self.lstm(self.embed(ids))[0])


class ConvolutionalTagger(nn.Module):
    """Token ids and three convolutions along them, of which the second halves the length."""

    def __init__(self):
        super().__init__()
        self.embed, self.first = nn.Embedding(50, 8), nn.Conv1d(8, 12, 3, padding=1)
        self.second, self.third = nn.Conv1d(12, 16, 4, stride=2, padding=1), nn.ConvTranspose1d(16, 12, 2, stride=2)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, ids):
        signal = self.first(self.embed(ids).transpose(1, 2)).relu()
        return self.head(self.third(self.second(signal).relu()).relu().transpose(1, 2))


def lora():
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(task_type="SEQ_CLS", target_modules=["query", "value"], r=2, modules_to_save=["classifier"])
    return get_peft_model(bert(), config)


def vit():
    from transformers import ViTConfig, ViTForImageClassification

    return ViTForImageClassification(
        ViTConfig(
            image_size=16,
            patch_size=4,
            hidden_size=16,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=32,
            num_labels=CLASSES,
        )
    )


def spectrogram_transformer():
    from transformers import ASTConfig, ASTForAudioClassification

    return ASTForAudioClassification(
        ASTConfig(
            hidden_size=16,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=32,
            patch_size=8,
            frequency_stride=8,
            time_stride=8,
            max_length=32,
            num_mel_bins=16,
            num_labels=CLASSES,
        )
    )


def floats(*shape):
    return lambda: torch.randn(ROWS, *shape, generator=draws())


def texts():
    mask = torch.ones(ROWS, 12, dtype=torch.int64)
    mask[1::2, 8:] = 0
    return {"input_ids": torch.randint(1, 50, (ROWS, 12), generator=draws()) * mask, "attention_mask": mask}


class Kind(NamedTuple):
    """A kind of model, with the methods that it cannot take and why."""

    make: object
    inputs: object
    refused: dict[str, str] = {}  # noqa: RUF012
    options: dict[str, object] = {}  # noqa: RUF012


TURNS = dict.fromkeys(["sla", "sla_sd", "sskd", "pckd"], "need float images|half turn")
MIXES = dict.fromkeys(["mixup", "cutmix", "stkd", "mixskd"], "inputs hold integers")
ERASES = {"cutout": "erasing .* needs one float tensor", "patch_swap": "patches need one float tensor"}
OF_TEXT = TURNS | MIXES | ERASES
POSITIONS = dict.fromkeys(["scd", "sad", "at", "nst", "afd", "structured_kd", "icsd", "pals"], "stage")
OF_A_TABLE = {
    "frskd": "no stage has any",
    "cutmix": "pasting .* needs one float tensor",
    "zipf_ls": "classifies each position",
}
ONE_STAGE = dict.fromkeys(
    [
        "scd",
        "sad",
        "drg",
        "lightskd",
        "byot",
        "dks",
        "uskd",
        "one",
        "okddip",
        "pcl",
        "sp",
        "fitnet",
        "eed",
        "loth",
        "dtskd",
        "fsp",
        "afd",
        "mhkd",
        "corsd",
    ],
    "stage|tap",
)

KINDS = {
    "square RGB image": Kind(lambda: convolutions(3), floats(3, 16, 16)),
    "image of 1 channel": Kind(lambda: convolutions(1), floats(1, 16, 16)),
    "image of 13 channels": Kind(lambda: convolutions(13), floats(13, 16, 16)),
    "rectangular image": Kind(lambda: convolutions(3), floats(3, 16, 24), TURNS),
    "signal": Kind(lambda: convolutions(2, 1), floats(2, 64), TURNS),
    "volume": Kind(lambda: convolutions(1, 3), floats(1, 8, 8, 8)),
    "BERT": Kind(bert, texts, OF_TEXT),
    "DistilBERT": Kind(distilbert, texts, OF_TEXT),
    "table": Kind(
        mlp,
        floats(12),
        TURNS | POSITIONS | ERASES | OF_A_TABLE,
    ),
    "image and table": Kind(
        ImageAndTable,
        lambda: (floats(3, 16, 16)(), floats(6)()),
        {"cutmix": "changes one tensor only"} | dict.fromkeys(["zipf_ls", "icsd", "pals"], "the classifier reads"),
    ),
    "ViT of transformers": Kind(vit, lambda: {"pixel_values": floats(3, 16, 16)()}),
    "audio spectrogram": Kind(spectrogram_transformer, lambda: {"input_values": floats(32, 16)()}, TURNS),
    "LSTM": Kind(Recurrent, lambda: torch.randint(0, 50, (ROWS, 12), generator=draws()), OF_TEXT | ONE_STAGE),
    "auxiliary logits": Kind(AuxiliaryLogits, floats(3, 16, 16), options={"aux": 0.4}),
    "weight norm": Kind(
        weight_normed, floats(3, 16, 16), dict.fromkeys(["adacos", "sla", "simkd"], "a parametrization computes it")
    ),
    "LoRA on a frozen BERT": Kind(lora, texts, OF_TEXT),
}

TOKEN_KINDS = {
    "BERT": Kind(lambda: bert("TokenClassification"), texts),
    "DistilBERT": Kind(lambda: distilbert("TokenClassification"), texts),
    "LSTM": Kind(Tagger, KINDS["LSTM"].inputs, ONE_STAGE),
    "convolutions": Kind(ConvolutionalTagger, KINDS["LSTM"].inputs),
}


def token_labels(ignored=-100):
    """Class ids [8, 12]; padding, the first token and some others have none."""
    labels = torch.randint(0, CLASSES, (ROWS, 12), generator=draws())
    labels[:, 0], labels[1::2, 8:], labels[2, 3:6] = ignored, ignored, ignored
    return labels


def extra(inputs):
    """What methods read besides inputs and labels."""

    def flipped():
        return map_tensors(lambda each: each.flip(0), inputs)

    return {
        "index": torch.arange(ROWS),
        "peer": flipped(),
        "twin": flipped(),
        "twin2": flipped(),
        "strong": flipped(),
        "plain": inputs,
        "last": flipped(),
        "last_labels": LABELS.flip(0),
        "negatives": torch.arange(2 * ROWS).reshape(ROWS, 2) % ROWS,
    }


class UNet(nn.Module):
    """Three levels of an encoder, which the decoder reads again, and a 1x1 convolution as the classifier."""

    def __init__(self, width=4):
        super().__init__()
        self.down = nn.ModuleList(map(self.block, (3, width, 2 * width), (width, 2 * width, 4 * width)))
        self.up2, self.up1 = self.block(6 * width, 2 * width), self.block(3 * width, width)
        self.out = nn.Conv2d(width, CLASSES, 1)

    @staticmethod
    def block(own, out):
        return nn.Sequential(nn.Conv2d(own, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU())

    def forward(self, images):
        first = self.down[0](images)
        second = self.down[1](F.max_pool2d(first, 2))
        third = self.down[2](F.max_pool2d(second, 2))
        rising = self.up2(torch.cat([F.interpolate(third, scale_factor=2.0), second], dim=1))
        return self.out(self.up1(torch.cat([F.interpolate(rising, scale_factor=2.0), first], dim=1)))


def segformer():
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    return SegformerForSemanticSegmentation(
        SegformerConfig(
            hidden_sizes=[8, 12, 16, 24],
            depths=[1, 1, 1, 1],
            num_attention_heads=[1, 2, 2, 4],
            decoder_hidden_size=16,
            num_labels=CLASSES,
        )
    )


def pixel_labels(rows=4, height=16, width=24, ignored=255):
    labels = torch.randint(0, CLASSES, (rows, height, width), generator=draws())
    labels[0, :5], labels[1, :, 20:] = ignored, ignored
    return labels
