"""Who may log in, with which rights and quotas, and each person's own studio."""
