"""The starter's second edition: a larger world, a finer autoencoder, a text-image pair. Not shipped yet.

It takes from the first edition, the package around it, all that is the same; when its weights ship, its modules
move up into their place.
"""
