"""How the reader is made: the transformer that says where in a passage the answer stands. Never used at run time."""
