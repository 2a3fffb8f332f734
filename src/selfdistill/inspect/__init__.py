"""Describe a run before it starts: a method's plan and a check of data, model and machine."""
