"""The `aileron-demo` command: starts the kit, shows what passes, ends it.

From the outside in:

    cli         the command line: `up` and `init`, and the messages for what is wrong with it
    files       where config.yaml and the page come from, and what `init` writes
    kit         what `up` is about to start, worked out from options and config
    supervisor  start, readiness, first exit ends all, stop
    child       one child process → typed messages
    readiness   does a child itself answer at its address?
    printers    messages → lines: for a terminal, for a pipe, as JSON
    screen      the one owner of the terminal: scrollback above, a live footer below
    terminal    keys in, and the terminal as it was afterwards
    output      a thread that writes, so that a slow reader never holds the launcher up

    session     pure: what has happened so far, folded from the records
    view        pure: session → what rich draws
    filter      pure: the small expression that chooses lines
    keys        pure: bytes from a terminal → keys; the one-line editor
    events      the launcher's own records, beside the gateway's

Everything that happens (a line from a child, its end, a key, a signal, an answer) is a typed message
on one queue.  One loop takes them; only the printers format.
"""
