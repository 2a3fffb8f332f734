"""Time and memory of methods beside cross-entropy, measured in one run."""
