"""Training runs: loop, optimizer, schedule, checkpoints, log. Independent of concrete methods; imports lazily."""
