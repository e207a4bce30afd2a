"""Status files: what became of the specs, written as files for git. A projection, never read in the hot path."""
