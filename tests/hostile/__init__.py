"""Hostile strings at every entrance, and every exit watched."""
