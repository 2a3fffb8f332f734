"""Use of a finished run: predictions of its test data and of images, and the network with its transform."""

from selfdistill.predict.finished_run import FinishedRun, load
from selfdistill.predict.images import predict_images
from selfdistill.predict.test_examples import predict, predicted_masks

__all__ = ["FinishedRun", "load", "predict", "predict_images", "predicted_masks"]
