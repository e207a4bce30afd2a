"""The revisions, oldest first: `0001` makes the tables."""
