"""`microex analyze` and `microex export`: from videos, or from a session's topics, to files that researchers use."""
