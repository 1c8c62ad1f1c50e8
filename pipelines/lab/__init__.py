"""The quality lab: what a method has learned, measured by networks that had no part in it.

    encoders   what looks at pictures          asked      the prompts of a trial, and what each should show
    measures   figures from what they saw      trials     one training and its pictures, judged and kept
    ablations  the papers' claims, one table   report     tables and plots from kept trials
"""
