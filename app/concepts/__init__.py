"""What is to be learned: drafts, consent, the process that looks at pictures, and erasing."""
