"""Engines that run the jobs of a study: serial, processes, Ray."""
