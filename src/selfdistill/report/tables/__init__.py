"""A study's tables: accuracy, metrics, and their export to CSV, Markdown and LaTeX."""
