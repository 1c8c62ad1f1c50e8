"""What a concept is: adapter kinds, their files, and the frozen base that they are put into.

Imports neither `pipelines` nor `app`.
"""
