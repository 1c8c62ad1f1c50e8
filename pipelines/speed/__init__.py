"""The speed lab: what the studio's loop, pictures and adapter switching cost.

    loop       the trainer against a flat script, block by block, for every method
    running    whole runs: time to the first preview, to the adapter; pictures
    alone      a run in a process of its own: the most memory that it needs
    switching  many adapters in turn: time, memory, and that nothing is left behind
"""

SPEED_PARTS = ("loops", "pictures", "switching", "runs", "memory")
"""What `measure` measures, in this order: whole runs are held against the bare steps of the loops."""
