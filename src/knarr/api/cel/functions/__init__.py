"""Functions of expressions, one library a module, found by name and by the types of what they are given."""
