"""The Pod Security Standards: what a pod may ask for at each level, version by version."""
