"""Experiment trackers: TensorBoard, Weights & Biases, MLflow, Trackio and CSV, fed from the records of a run."""
