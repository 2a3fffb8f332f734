"""What methods cost in time and memory, beside cross-entropy in one run."""
