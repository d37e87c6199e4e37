"""STAG: the network that reads motion, and what it is trained with (torch only; no message, no I/O)."""
