"""The launcher, from pure folds to a real terminal."""
