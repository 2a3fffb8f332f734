"""Recipes: values of a run that belong together, a file each."""
