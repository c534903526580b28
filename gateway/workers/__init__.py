"""Several processes on the same addresses: a parent, and workers that serve.

parent      start, reload and stop of a gateway of several workers
crew        all workers: each kept running, all told the same
process     one worker, as the parent sees it
addresses   what the parent binds, and which worker gets which socket
merge       the event streams of all workers as one
channel     what parent and worker say to each other, descriptors included
worker      the worker's own side: a gateway whose sockets come from its parent
"""
