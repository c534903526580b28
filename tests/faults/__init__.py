"""What happens when something breaks: upstreams, clients, networks, disks, clocks, processes.

namespaces   networks of a test's own, whose cables can be pulled
rest         how much of everything a gateway holds, and that it gives it back
"""
