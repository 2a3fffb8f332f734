"""The configuration of a run."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from math import inf
from typing import Any, Literal, get_args, get_type_hints

from selfdistill.data.augment_recipe import AugmentRecipe, augment_recipe, parse_augment
from selfdistill.data.drawn_part import Fold, TestPart
from selfdistill.data.sources import task_of
from selfdistill.errors import UserError
from selfdistill.recipes.recipe import read_recipe
from selfdistill.schema import mismatches, normalized
from selfdistill.table_format import TableFormat, parse_format
from selfdistill.task import TASKS, Task

Tasks = Literal["auto", "classify", "segment", "tag"]
Schedule = Literal["cosine", "step", "linear", "constant"]
Precision = Literal["32", "bf16", "16"]
Decode = Literal["auto", "once", "stream"]
Interpolation = Literal["bilinear", "bicubic"]
Normalization = Literal["auto", "data"]
Accelerator = Literal["auto", "cpu", "gpu", "cuda", "mps"]
Strategy = Literal["auto", "ddp", "fsdp"]
CompileMode = Literal["default", "reduce-overhead", "max-autotune"]
WITH_COLORS = "with a policy or a jitter of colors, which change 8-bit pixels of one or three channels; leave those out"
CHOICES = {
    "task": Tasks,
    "schedule": Schedule,
    "accelerator": Accelerator,
    "precision": Precision,
    "strategy": Strategy,
    "compile_mode": CompileMode,
    "decode": Decode,
    "normalization": Normalization,
}


@dataclass(frozen=True)
class RunConfig:
    """The configuration of a run: the same configuration on the same machine gives the same weights.

    `dataclasses.replace` changes fields. Raises `UserError` for values out of range.

    >>> config = sd.RunConfig("drg() + dsr()", data="digits", model="resnet8", epochs=5)
    >>> config.batch_size, config.lr, config.seed
    (64, 0.1, 0)
    """

    method: str  # an expression, such as "drg() + dsr()"
    data: str = "digits"  # a source, such as cifar10 or folder:PATH
    model: str = "resnet8"  # a name of `create`
    epochs: float = 20  # passes over the training images; the last may be partial
    # optimizer steps, in place of the epochs; None: by the epochs
    steps: int | None = field(default=None, kw_only=True)
    # epochs without a better validation score after which training stops, and the best epoch is the student; None: all
    patience: int | None = field(default=None, kw_only=True)
    batch_size: int = 64  # images per optimizer step, over all processes
    optimizer: str = field(default="sgd", kw_only=True)  # or a name of timm
    lr: float = 0.1  # peak learning rate
    # peak learning rate of the heads that only training has; None: the same
    head_lr: float | None = field(default=None, kw_only=True)
    # factor of the learning rate from each layer of the student to the one before; None: 1
    layer_decay: float | None = field(default=None, kw_only=True)
    momentum: float = 0.9  # from 0 to below 1
    nesterov: bool = True
    weight_decay: float = 5e-4  # L2
    decay_norms: bool = True  # apply weight decay to normalization layers and biases too
    schedule: Schedule = "cosine"  # of the learning rate; "step" lowers it at the milestones
    milestones: tuple[float, ...] = (0.5, 0.75)  # fractions of the run at which "step" lowers the learning rate
    gamma: float = 0.1  # factor by which "step" lowers the learning rate
    warmup: int = 0  # epochs of linear learning rate warmup
    seed: int = 0  # of the initial weights, the order of the data, augmentation and label noise
    generation: int = 0  # a teacher has its student's plus 1, which changes its initial weights
    limit: int | None = None  # training images to keep, as a stratified subset; None: all
    validation: float = 0.0  # fraction of the training images held out for validation
    # fraction of the training images that are the test set, where the data have none; the same for all seeds
    test: float = field(default=0.0, kw_only=True)
    # parts of the training images of which each is the test set once, where the data have none; the same for all seeds
    folds: int | None = field(default=None, kw_only=True)
    fold: int = field(default=0, kw_only=True)  # which of them is the test set, from 0
    label_noise: float = 0.0  # fraction of the training labels replaced by wrong ones
    class_weights: str | None = field(default=None, kw_only=True)  # in losses of labels: "auto", or a file; None: equal
    balanced: bool = field(default=False, kw_only=True)  # an epoch has every class equally often
    skip_unreadable: bool = False  # leave out images that cannot be read
    size: int | None = None  # pixels per side, by resizing; None: the data's own
    # of image files: 1 for luminance, 4 with alpha, or all that they have; None: red, green and blue
    channels: int | None = field(default=None, kw_only=True)
    bits: int = field(default=8, kw_only=True)  # of a channel of image files: 8, or 16 for their full depth
    augment: str = field(default="auto", kw_only=True)  # none, cifar, light or imagenet; or with a policy, BASE:POLICY
    # smallest and largest area of random resized crops, as shares of the image; None: the recipe's
    crop_scale: tuple[float, ...] | None = field(default=None, kw_only=True)
    flip: bool | None = field(default=None, kw_only=True)  # random horizontal flips; None: unless the data forbid them
    jitter: float | None = field(default=None, kw_only=True)  # largest change of brightness, contrast and saturation
    erase: float | None = field(default=None, kw_only=True)  # probability of random erasing
    interpolation: Interpolation | None = field(default=None, kw_only=True)  # of random resized crops; None: bicubic
    # share of the shorter side that the center crop of test images keeps; None: that of trained weights, else 1
    crop_pct: float | None = field(default=None, kw_only=True)
    # of test images; None: that of trained weights, else bicubic
    test_interpolation: Interpolation | None = field(default=None, kw_only=True)
    # mean and deviation of pixels: those of trained weights where there are, or always those of the data
    normalization: Normalization = field(default="auto", kw_only=True)
    pretrained: bool = False  # start from the weights of timm or torchvision
    weights: str | None = None  # file of weights to start from
    classifier: str | None = None  # path of the module that computes the logits; None: found by tracing
    # paths of layers that are not trained, separated by commas, or "all but the classifier"
    freeze: str | None = field(default=None, kw_only=True)
    unfreeze: int | None = field(default=None, kw_only=True)  # epochs after which they are; None: never
    accelerator: Accelerator = "auto"  # hardware to train on
    precision: Precision = "32"  # of mixed precision
    # what methods keep of each training image: full, half, mapped or top:K, or several, such as half,mapped
    memory: str = field(default="full", kw_only=True)
    devices: int = 1  # per machine, with one process each
    nodes: int = 1  # machines
    strategy: Strategy = "auto"  # how processes share the work; "fsdp" shards the weights
    sync_batchnorm: bool = False  # batch statistics over all processes
    accumulate: int = 1  # gradient accumulation steps
    clip_norm: float | None = None  # largest gradient norm; None: not clipped
    # share of the task's gradient that each term's has, by a weight fixed after the first epoch; None: given weights
    balance: float | None = field(default=None, kw_only=True)
    # radius of sharpness-aware minimization, about 0.05; None: off
    sam: float | None = field(default=None, kw_only=True)
    compile: bool = False  # compile the training step with torch.compile
    compile_mode: CompileMode = "default"  # of torch.compile
    decode: Decode = "auto"  # when image files are decoded; does not change what is trained
    # threads that read random resized crops of files, 0 for none; None: one for each processor
    decode_workers: int | None = field(default=None, kw_only=True)
    # what has a class: an image, a pixel or a tag of an image; auto: by the data
    task: Tasks = field(default="auto", compare=False)
    aux: float | None = None  # weight of auxiliary logits of a training pass; 0 freezes their heads; None: refused

    # name of the recipe that values were taken from; it is recorded, and changes nothing itself
    recipe: str | None = field(default=None, kw_only=True, compare=False)

    def __post_init__(self) -> None:
        for name in ("milestones", "crop_scale"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, kind in _kinds().items():
            if name in CHOICES:
                continue
            if wrong := next(mismatches(getattr(self, name), kind, name.replace("_", " ")), None):
                raise UserError(str(wrong))
            object.__setattr__(self, name, normalized(getattr(self, name), kind))
        if self.epochs.is_integer():
            object.__setattr__(self, "epochs", int(self.epochs))
        for name, fits, wanted in self._rules():
            if not fits:
                raise UserError(f"{name.replace('_', ' ')} must be {wanted}, but is {getattr(self, name)}")
        parse_augment(self.augment)
        parse_format(self.memory)

    @property
    def resolved_task(self) -> Task:
        """Return the task: as given, or that of the data source.

        >>> sd.RunConfig("ce()", data="masks:PATH").resolved_task.score
        'miou'
        """
        return TASKS[task_of(self.data) if self.task == "auto" else self.task]

    @property
    def augment_recipe(self) -> AugmentRecipe:
        """Return the augmentation recipe, with the parts that are given in place of its own.

        >>> sd.RunConfig("ce()", augment="imagenet").augment_recipe.crop_scale
        (0.08, 1.0)
        """
        return augment_recipe(
            self.augment,
            crop_scale=self.crop_scale,
            flip=self.flip,
            jitter=self.jitter,
            erase=self.erase,
            interpolation=self.interpolation,
        )

    @property
    def tables(self) -> TableFormat:
        """Return the format of the tables that methods keep of each training image.

        >>> sd.RunConfig("ps_kd()", memory="half,top:20").tables.top
        20
        """
        return parse_format(self.memory)

    @property
    def parts(self) -> int:
        """Return the number of parts of a batch: processes times gradient accumulation steps.

        >>> sd.RunConfig("ce()", devices=2, accumulate=4).parts
        8
        """
        return self.devices * self.nodes * self.accumulate

    @property
    def whole(self) -> bool:
        """Return true for a run of whole epochs.

        >>> sd.RunConfig("ce()", epochs=0.5).whole
        False
        """
        return self.steps is None and float(self.epochs).is_integer()

    @property
    def length(self) -> str:
        """Return the length of the run in words.

        >>> sd.RunConfig("ce()", epochs=0.5).length, sd.RunConfig("ce()", steps=500).length
        ('0.5 epochs', '500 steps')
        """
        return f"{self.epochs} epochs" if self.steps is None else f"{self.steps} steps"

    def steps_of(self, steps_per_epoch: int) -> int:
        """Return the optimizer steps of the run; a fraction of a step is rounded, to 1 at least.

        >>> sd.RunConfig("ce()", epochs=2.5).steps_of(30)
        75
        """
        return self.steps or max(1, round(self.epochs * steps_per_epoch))

    @property
    def test_part(self) -> TestPart:
        """Return the test set that is drawn: a fold, a share of the training images, or 0.

        >>> sd.RunConfig("ce()", folds=5, fold=1).test_part
        Fold(fold=1, folds=5)
        """
        return self.test if self.folds is None else Fold(self.fold, self.folds)

    @property
    def repetition(self) -> str:
        """Return what differs between the runs of a method: the seed, and the fold if there are folds.

        >>> sd.RunConfig("ce()", folds=5, fold=1).repetition
        'fold 1 of 5, seed 0'
        """
        return f"seed {self.seed}" if self.folds is None else f"{self.test_part}, seed {self.seed}"

    def seedless(self) -> "RunConfig":
        """Return the recipe: the same configuration at seed 0, and at fold 0.

        >>> sd.RunConfig("ce()", seed=3).seedless() == sd.RunConfig("ce()")
        True
        """
        return replace(self, seed=0, generation=0, fold=0)

    def to_json(self) -> dict[str, Any]:
        """Return the fields that the weights depend on, as JSON values.

        >>> sd.RunConfig("ce()").to_json()["milestones"]
        [0.5, 0.75]
        """
        values = asdict(self) | {"milestones": list(self.milestones), "task": self.resolved_task.name}
        values["crop_scale"] = self.crop_scale and list(self.crop_scale)
        return {key: value for key, value in values.items() if key not in ("decode", "decode_workers", "recipe")}

    @classmethod
    def from_recipe(cls, name: str, method: str, **changes: Any) -> "RunConfig":
        """Make a configuration from a named recipe; `changes` replace its values.

        Raises `UserError` for an unknown name, and for a recipe of trained weights without them.

        >>> sd.RunConfig.from_recipe("cifar", "drg()", data="cifar100", epochs=240).schedule
        'step'
        """
        recipe = read_recipe(name)
        config = cls(**{"method": method, **recipe.values, **changes, "recipe": name})
        if recipe.trained and not (config.pretrained or config.weights or ":" in config.model):
            raise UserError(
                f"the recipe {name!r} is for trained weights, but the network starts from random ones; add "
                "--pretrained or --weights FILE (in Python, pretrained=True or weights=), or take the recipe "
                "'scratch-small'"
            )
        return config

    @classmethod
    def from_json(cls, values: Mapping[str, Any], source: object = None) -> "RunConfig":
        """Read the values of `to_json`; fields of other versions are left out. Raises `UserError`, with the `source`.

        >>> sd.RunConfig.from_json({"method": "ce()", "epochs": 5}).epochs
        5
        """
        known = {each.name for each in fields(cls)}
        try:
            if "method" not in values:
                raise UserError("method must be text, but is missing")
            return cls(**{key: value for key, value in values.items() if key in known})
        except UserError as error:
            raise (error if source is None else UserError(f"the configuration in {source}: {error}")) from None

    @property
    def _most_epochs(self) -> float:
        return inf if self.steps else self.epochs  # the trainer knows the steps of an epoch

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        """Yield each field that has a range, true if its value lies within it, and the range in words."""
        for name, kind in _kinds().items():
            if kind in (int, int | None) and name != "seed":
                yield name, (getattr(self, name) or 0) < 2**31, "below 2,147,483,648"
        yield "seed", 0 <= self.seed < 2**63, "from 0 to 9,223,372,036,854,775,807"
        yield from self._rules_of_optimization()
        yield from self._rules_of_data()
        yield from self._rules_of_hardware()
        yield from self._rules_of_freezing()
        yield from self._rules_of_balance()
        for name, kind in CHOICES.items():
            yield name, getattr(self, name) in get_args(kind), " or ".join(get_args(kind))

    def _rules_of_optimization(self) -> Iterator[tuple[str, bool, str]]:
        yield "epochs", self.epochs > 0, "above 0"
        yield "epochs", self.epochs < 2**31, "below 2,147,483,648"
        yield "steps", self.steps is None or self.steps >= 1, "1 or more"
        yield "patience", self.patience is None or self.patience >= 1, "1 or more"
        yield "batch_size", self.batch_size >= 1, "1 or more"
        yield "lr", 0 < self.lr < inf, "above 0"
        yield "head_lr", self.head_lr is None or 0 < self.head_lr < inf, "above 0"
        yield "layer_decay", self.layer_decay is None or 0 < self.layer_decay <= 1, "above 0, at most 1"
        yield "momentum", 0 <= self.momentum < 1, "from 0 to below 1"
        yield "weight_decay", 0 <= self.weight_decay < inf, "0 or more"
        yield "milestones", all(0 < each < 1 for each in self.milestones), "fractions between 0 and 1"
        yield "gamma", 0 < self.gamma < inf, "above 0"
        yield "warmup", 0 <= self.warmup <= self._most_epochs, f"from 0 to the {self.epochs} epochs"
        yield "aux", self.aux is None or 0 <= self.aux < inf, "0 or more"
        yield "clip_norm", self.clip_norm is None or 0 < self.clip_norm < inf, "above 0"
        yield "sam", self.sam is None or 0 < self.sam < inf, "above 0"
        yield "balance", self.balance is None or 0 < self.balance < inf, "above 0"

    def _rules_of_data(self) -> Iterator[tuple[str, bool, str]]:
        yield "limit", self.limit is None or self.limit >= 1, "1 or more"
        yield "validation", 0 <= self.validation < 1, "a fraction from 0 to below 1"
        yield "test", 0 <= self.test < 1, "a fraction from 0 to below 1"
        yield "folds", self.folds is None or self.folds >= 2, "2 or more"
        yield "folds", self.folds is None or not self.test, "left out with --test: each fold is the test set once"
        last = "left out without folds" if self.folds is None else f"from 0 to {self.folds - 1}"
        yield "fold", 0 <= self.fold < (self.folds or 1), last
        yield "label_noise", 0 <= self.label_noise < 1, "a fraction from 0 to below 1"
        yield "channels", self.channels is None or self.channels >= 1, "1 (luminance), 3 (colors) or more"
        yield "bits", self.bits in (8, 16), "8 or 16"
        recolored = bool(self.jitter) or ":" in self.augment
        yield "channels", not recolored or self.channels in (None, 1, 3), f"1 or 3 {WITH_COLORS}"
        yield "bits", not recolored or self.bits == 8, f"8 {WITH_COLORS}"
        yield "size", self.size is None or self.size >= 1, "1 or more"
        yield "crop_scale", _fits_area(self.crop_scale), "a smallest and a largest area above 0, at most 1"
        yield "decode_workers", self.decode_workers is None or self.decode_workers >= 0, "0 or more"
        yield "crop_pct", self.crop_pct is None or 0 < self.crop_pct <= 1, "a share above 0, at most 1"
        yield "jitter", self.jitter is None or 0 <= self.jitter <= 1, "from 0 to 1"
        yield "erase", self.erase is None or 0 <= self.erase <= 1, "a probability from 0 to 1"

    def _rules_of_hardware(self) -> Iterator[tuple[str, bool, str]]:
        yield "devices", self.devices >= 1, "1 or more"
        yield "nodes", self.nodes >= 1, "1 or more"
        yield "accumulate", self.accumulate >= 1, "1 or more"
        yield (
            "batch_size",
            self.batch_size % max(self.parts, 1) == 0,
            f"a multiple of devices x nodes x accumulate ({self.parts})",
        )
        yield (
            "compile_mode",
            self.compile or self.compile_mode == "default",
            "'default' unless the step is compiled: add --compile (in Python, compile=True)",
        )
        yield (
            "compile_mode",
            self.compile_mode != "reduce-overhead" or self.devices * self.nodes == 1,
            "'default' with several processes: their collectives cannot be part of a CUDA graph",
        )
        yield (
            "sam",
            self.sam is None or self.strategy != "fsdp",
            "None with strategy fsdp, whose weights are shards: leave out --sam, or pass --strategy ddp",
        )

    def _rules_of_balance(self) -> Iterator[tuple[str, bool, str]]:
        if self.balance is not None:
            yield "balance", not self.compile, "left out with --compile, which keeps no graph to measure"
            yield "balance", self.strategy != "fsdp", "left out with --strategy fsdp, whose weights are shards"

    def _rules_of_freezing(self) -> Iterator[tuple[str, bool, str]]:
        yield "freeze", self.freeze is None or bool(self.freeze.strip()), "paths of layers"
        if self.unfreeze is None:
            return
        yield "unfreeze", 1 <= self.unfreeze < self._most_epochs, f"from 1 to below the {self.epochs} epochs"
        yield "unfreeze", self.freeze is not None, "left out without layers to --freeze"
        yield (
            "unfreeze",
            self.strategy != "fsdp",
            "left out with strategy fsdp, whose shards stay frozen: pass --strategy ddp",
        )


def _fits_area(scale: tuple[float, ...] | None) -> bool:
    return scale is None or (len(scale) == 2 and 0 < scale[0] <= scale[1] <= 1)


@cache
def _kinds() -> dict[str, Any]:
    """Return the type of each field."""
    return get_type_hints(RunConfig)
