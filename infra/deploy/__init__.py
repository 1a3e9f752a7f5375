"""Blue-green deployment on one host: `okr deploy`.

Two API processes, blue and green, each listen on a UNIX socket. nginx connects to the link `current.sock`, which points
to one of them. `deployment` contains the steps in their order; ADR 35 gives the reasons.
"""
