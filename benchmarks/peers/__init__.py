"""Other servers on the same model. Each script runs in an environment of its own, without specrunner, and says in the
first line of its output, as JSON, where it answers and in which form."""
