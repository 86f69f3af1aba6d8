"""Priority and fairness: which requests wait, and which are told to come back later."""
