"""CustomResourceDefinitions as objects: what is wrong with one, its schemas and their rules included."""
