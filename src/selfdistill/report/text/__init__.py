"""Sentences of a report: findings, caveats, commands."""
