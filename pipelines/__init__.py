"""How a concept is learned and used: bases, references, dataset, methods, trainer, generator.

Never imports `app`.
"""

from pipelines.quiet import hush

hush()  # here, since every process of ours comes by before it imports what would speak
