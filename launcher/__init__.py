"""The `aileron-demo` command: starts the kit, shows what passes, ends it.

From the outside in:

    cli         the command line, and the messages for what is wrong with it
    files       where config.yaml and the page come from, and what `init` writes
    check       what is wrong with a config, what may surprise, and where a request would go
    describe    `graph` and `schema`: what a config is made of, and what it may hold
    graph       pure: a config → its resources and what they refer to, as a tree, as Mermaid, as JSON
    kit         what `up` is about to start, worked out from options and config before anything runs
    up          the parts put together, and the exit status
    supervisor  start, readiness, first exit ends all, stop
    child       one child process → typed messages
    lifeline    how children learn that the launcher is gone
    readiness   whether a child itself answers at its address
    signals     signals → typed messages
    terminal    keys → typed messages, and the terminal as it was afterwards
    printers    messages → lines: plain ones, JSON
    live        messages → what a terminal shows: sampling, pause, filter, keys
    screen      the one owner of the terminal: scrollback above, a live footer below
    output      a thread that writes, so that a slow reader never holds the launcher up

    session     pure: what has happened so far, folded from the records
    view        pure: records, banner, summary → what rich draws
    footer      pure: session → the live lines at the bottom
    filter      pure: the small expression that chooses records
    keys        pure: bytes from a terminal → keys; the one-line editor
    events      the launcher's own records, beside the gateway's

Everything that happens (a line from a child, its end, a key, a signal, an answer) is a typed message
on one queue.  One loop takes them; only the printers format.
"""
