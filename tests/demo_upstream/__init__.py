"""Tests of the demo upstream and of its page."""
