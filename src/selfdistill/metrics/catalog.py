"""Names, descriptions and table columns of all metrics; imports no torch, so `--help` can read it."""

from collections.abc import Sequence
from dataclasses import dataclass

from selfdistill.task import CLASSIFY, SEGMENT, TAG, TaskName

ACCURACY = "Accuracy"
CONFIDENCE = "Confidence"
EMBEDDING = "Embedding"
ROBUSTNESS = "Robustness"
OOD = "Images of other classes"
COST = "Cost"
HEADINGS = (ACCURACY, CONFIDENCE, EMBEDDING, ROBUSTNESS, OOD, COST)  # in the order of a page


@dataclass(frozen=True)
class MetricSpec:
    """One number of a metric: its key, its column title and format, and which direction is better."""

    place: str  # "METRIC.KEY…" in the file of a run's metrics
    group: str  # one of HEADINGS
    name: str
    better: int = 0  # 1: higher, -1: lower, 0: neither
    form: str = ".2f"
    counted: bool = False  # equal for every seed: no statistics
    timed: bool = False  # measured by the clock
    counts_images: bool = False  # a share of the test images, in percent: its steps are one image
    unit: float = 1.0  # divisor before printing

    @property
    def way(self) -> str:
        """Direction in words; empty where neither is better."""
        return {1: "higher is better", -1: "lower is better"}.get(self.better, "")

    @property
    def arrow(self) -> str:
        """Direction as an arrow; empty where neither is better."""
        return {1: "↑", -1: "↓"}.get(self.better, "")

    @property
    def tested(self) -> bool:
        """True if a difference to the baseline is tested for significance."""
        return self.better != 0 and not self.counted and not self.timed

    def text(self, value: float) -> str:
        """Format a value for a table."""
        return format(value / self.unit, self.form).rstrip(".")  # "#.3g" ends "123." with a point


@dataclass(frozen=True)
class Metric:
    """A named group of numbers: its function in selfdistill.metrics, a description, its table columns."""

    function: str  # "MODULE.FUNCTION", imported on first use; takes an EvaluationContext
    about: str
    specs: tuple[MetricSpec, ...] = ()
    needs_embedding: bool = False
    needs_images: bool = False  # pixels to change
    needs_color: bool = False  # pixels of three channels
    needs_bytes: bool = False  # pixels of 8 bits
    needs_ood: bool = False  # a second data set, of other classes
    tasks: tuple[TaskName, ...] = (CLASSIFY,)  # that it measures


METRICS = {
    "accuracy": Metric(
        "accuracy.compute",
        "top-1 and top-5 accuracy, NLL",
        (
            MetricSpec("accuracy.top1", ACCURACY, "top-1 %", 1, counts_images=True),
            MetricSpec("accuracy.best_epoch_top1", ACCURACY, "top-1 %, best epoch", 1, counts_images=True),
            MetricSpec("accuracy.top5", ACCURACY, "top-5 %", 1, counts_images=True),
            MetricSpec("accuracy.nll", ACCURACY, "NLL", -1, ".3f"),
        ),
    ),
    "calibration": Metric(
        "calibration.compute",
        "ECE, adaptive ECE, Brier score",
        (
            MetricSpec("calibration.ece", CONFIDENCE, "ECE %", -1),
            MetricSpec("calibration.adaptive_ece", CONFIDENCE, "adaptive ECE %", -1),
            MetricSpec("calibration.brier", CONFIDENCE, "Brier", -1, ".4f"),
        ),
    ),
    "balance": Metric(
        "balance.compute",
        "balanced accuracy and macro F1",
        (
            MetricSpec("balance.balanced_accuracy", ACCURACY, "balanced accuracy %", 1),
            MetricSpec("balance.macro_f1", ACCURACY, "macro F1 %", 1),
        ),
    ),
    "segmentation": Metric(
        "segmentation.compute",
        "mean IoU, pixel and class accuracy, NLL and ECE of pixels",
        (
            MetricSpec("segmentation.miou", ACCURACY, "mean IoU %", 1),
            MetricSpec("segmentation.best_epoch_miou", ACCURACY, "mean IoU %, best epoch", 1),
            MetricSpec("segmentation.pixel_accuracy", ACCURACY, "pixel accuracy %", 1),
            MetricSpec("segmentation.mean_class_accuracy", ACCURACY, "mean class accuracy %", 1),
            MetricSpec("segmentation.nll", ACCURACY, "NLL", -1, ".3f"),
            MetricSpec("segmentation.ece", CONFIDENCE, "ECE %", -1),
        ),
        tasks=(SEGMENT,),
    ),
    "class_iou": Metric(
        "segmentation.compute_classes", "IoU, accuracy and most frequent confusion of each class", tasks=(SEGMENT,)
    ),
    "tags": Metric(
        "tags.compute",
        "mean average precision, and F1 at a probability of 0.5 and at thresholds chosen on validation images",
        (
            MetricSpec("tags.map", ACCURACY, "mAP %", 1),
            MetricSpec("tags.best_epoch_map", ACCURACY, "mAP %, best epoch", 1),
            MetricSpec("tags.micro_f1", ACCURACY, "micro F1 %", 1),
            MetricSpec("tags.macro_f1", ACCURACY, "macro F1 %", 1),
            MetricSpec("tags.micro_f1_chosen", ACCURACY, "micro F1 %, chosen thresholds", 1),
            MetricSpec("tags.macro_f1_chosen", ACCURACY, "macro F1 %, chosen thresholds", 1),
        ),
        tasks=(TAG,),
    ),
    "tag_f1": Metric("tags.compute_tags", "average precision, F1 and threshold of each tag", tasks=(TAG,)),
    "selective": Metric(
        "selective.compute",
        "selective prediction: area under the risk-coverage curve (AURC)",
        (
            MetricSpec("selective.aurc", CONFIDENCE, "AURC %", -1, ".3f"),
            MetricSpec("selective.aurc_excess", CONFIDENCE, "excess AURC %", -1, ".3f"),
        ),
    ),
    "recall": Metric(
        "retrieval.compute",
        "retrieval recall@1 of the embeddings",
        (MetricSpec("recall.recall_at_1", EMBEDDING, "recall@1 %", 1),),
        needs_embedding=True,
    ),
    "knn": Metric(
        "knn.compute",
        "kNN accuracy of the embeddings against the training images",
        (MetricSpec("knn.knn", EMBEDDING, "kNN %", 1, counts_images=True),),
        needs_embedding=True,
    ),
    "spread": Metric(
        "embedding_variance.compute",
        "embedding variance within and between classes",
        (
            MetricSpec("spread.ratio", EMBEDDING, "intra / inter", -1, ".3f"),
            MetricSpec("spread.ratio_normalised", EMBEDDING, "intra / inter, unit length", -1, ".3f"),
            MetricSpec("spread.intra", EMBEDDING, "intra-class variance", 0, "#.3g"),
            MetricSpec("spread.inter", EMBEDDING, "inter-class variance", 0, "#.3g"),
            MetricSpec("spread.intra_normalised", EMBEDDING, "intra, unit length", 0, "#.3g"),
            MetricSpec("spread.inter_normalised", EMBEDDING, "inter, unit length", 0, "#.3g"),
        ),
        needs_embedding=True,
    ),
    "classes": Metric("per_class.compute", "accuracy, precision and most frequent confusion of each class"),
    "fgsm": Metric("adversarial.compute_fgsm", "accuracy under FGSM attacks", needs_images=True, needs_bytes=True),
    "pgd": Metric("adversarial.compute_pgd", "accuracy under PGD attacks", needs_images=True, needs_bytes=True),
    "corruption": Metric(
        "corruption.compute",
        "accuracy under the common corruptions of CIFAR-10-C",
        (MetricSpec("corruption.mean", ROBUSTNESS, "corruptions %", 1),),
        needs_images=True,
        needs_color=True,
        needs_bytes=True,
    ),
    "outside": Metric(
        "ood.compute",
        "OOD detection (AUROC, FPR@95) against the images of --ood",
        (
            MetricSpec("outside.max_softmax.auroc", OOD, "AUROC %, softmax", 1),
            MetricSpec("outside.energy.auroc", OOD, "AUROC %, energy", 1),
            MetricSpec("outside.max_softmax.fpr95", OOD, "FPR95 %, softmax", -1),
            MetricSpec("outside.energy.fpr95", OOD, "FPR95 %, energy", -1),
        ),
        needs_images=True,
        needs_ood=True,
    ),
    "cost": Metric(
        "latency.compute",
        "parameters, FLOPs, latency and memory of one image",
        (
            MetricSpec("cost.parameters", COST, "parameters", -1, ",.0f", counted=True),
            MetricSpec("cost.added_parameters", COST, "added in training", -1, ",.0f", counted=True),
            MetricSpec("cost.flops", COST, "MFLOPs of an image", -1, ",.1f", counted=True, unit=1e6),
            MetricSpec("cost.pass_ms", COST, "pass of an image, ms", -1, ".2f", timed=True),
            MetricSpec("cost.pass_mib", COST, "pass of an image, MiB", -1, ".2f", counted=True),
            MetricSpec("cost.step_ms", COST, "training step, ms", -1, ".1f", timed=True),
            MetricSpec("cost.step_mib", COST, "training step, MiB", -1, ",.1f", counted=True),
        ),
        tasks=(CLASSIFY, SEGMENT, TAG),
    ),
}
BASIC = ("accuracy", "calibration", "balance", "segmentation", "tags")  # those of the run's task
CLASS_SCORES = {"classes": "top1", "class_iou": "iou", "tag_f1": "f1"}  # metrics by class, and their main number


def of_task(names: Sequence[str], task: TaskName) -> list[str]:
    """Return the metrics that measure a task.

    >>> of_task(["knn", "cost", "tags"], "tag")
    ['cost', 'tags']
    """
    return [name for name in names if task in METRICS[name].tasks]
