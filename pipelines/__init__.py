"""How a concept is learned and used: bases, references, dataset, methods, trainer, generator.

Never imports `app`.
"""
