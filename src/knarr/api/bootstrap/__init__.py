"""Objects that every new cluster has."""
