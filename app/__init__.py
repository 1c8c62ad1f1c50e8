"""The studio: data folder, jobs, library, command line, server and browser.

Only `worker` and `painter_child` (processes of their own) import torch.
"""
