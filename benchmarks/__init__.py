"""`python -m benchmarks`: the gateway side by side with its peers, under the same load.

From the outside in; what is pure touches neither files nor processes:

    cli        the command line
    scenarios  pure: what is measured, under which load, and the target where there is one
    peers      who is measured: whether it is here, which version, how it is started
    measure    rounds: each peer in turn, the order rotated
    fleet      the echo server and the peers of a scenario, running
    tools      the load generator and the echo server, run and listened to
    native     both built, where their sources are newer
    processes  a process and its descendants: start, processor time, memory, stop
    figures    pure: samples → medians, quartiles, ratios within a round
    results    what is written to results/, and read from there
    report     pure: results → Markdown
    plot       results → SVG, light and dark

native/ has the load generator and the echo server in C, setups/ the peers' configurations, and small programs
where a peer is a library.
"""
