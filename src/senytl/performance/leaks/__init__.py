"""Memory leaks: read between rounds of work, told from warm-up, proven, and located."""
