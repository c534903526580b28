"""Config loading, rule by rule."""
