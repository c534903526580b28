"""The tests; their tree is that of the packages."""
