"""Routing, rule by rule."""
