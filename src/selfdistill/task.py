"""Tasks: an image, a pixel or a tag has a class. Each task has its own score."""

from typing import Final, Literal, NamedTuple

TaskName = Literal["classify", "segment", "tag"]
CLASSIFY: Final = "classify"
SEGMENT: Final = "segment"
TAG: Final = "tag"


class Task(NamedTuple):
    """The unit that has a class, and the score by which runs are compared.

    >>> TASKS["segment"].score, TASKS["segment"].validation
    ('miou', 'validation_miou')
    """

    name: TaskName
    rows: Literal["examples", "pixels", "tags"]  # as in `sd.teach`
    score: str  # key of the score in result.json, in percent
    title: str  # of the score in sentences and, with " %", in tables
    training: str  # key of the accuracy in training in log.jsonl, in percent
    training_title: str

    @property
    def validation(self) -> str:
        """Key of the score on validation images, in log.jsonl and result.json."""
        return f"validation_{self.score}"

    @property
    def best_validation(self) -> str:
        """Key of the best epoch's score on validation images, in result.json."""
        return f"best_validation_{self.score}"

    @property
    def best_epoch(self) -> str:
        """Key of the best epoch's score on test images, in result.json."""
        return f"best_epoch_{self.score}"


TASKS = {
    CLASSIFY: Task(CLASSIFY, "examples", "top1", "top-1", "train_top1", "top-1"),
    SEGMENT: Task(SEGMENT, "pixels", "miou", "mean IoU", "train_pixel_accuracy", "pixel accuracy"),
    TAG: Task(TAG, "tags", "map", "mAP", "train_tag_accuracy", "tag accuracy"),
}
