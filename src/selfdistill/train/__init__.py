"""The loop: optimizer, schedule, checkpoint, log. Knows no concrete method, and loads nothing until it is asked for."""
