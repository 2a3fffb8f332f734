"""Statistics over the seeds of a study."""
