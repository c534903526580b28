"""Inputs that nobody thought of, and what has to hold for each of them.

targets/        one module for each part of the product that reads what strangers wrote: its oracle
choices.py      bytes → the decisions that an oracle needs
child.py        one target under atheris, in a process of its own
campaign.py     starts such processes, and tells what came of them
tunnel.py       random byte streams through a live gateway
plans.py        what is sent there, out of one number
ends.py         who sends it
cli.py          `python -m tests.fuzz`

`tests/corpus/TARGET` holds a few inputs for each target.  The default suite gives them to the same oracles,
without atheris.
"""
