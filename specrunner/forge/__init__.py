"""GitHub: what a step of its Actions is told, and what specrunner tells it back.

`surroundings` reads the variables and the event of a run. `github` makes the REST calls: retried where that is safe, a
missing right told apart from a failure. On top of it stand the things that people see: `sticky` comments of which
there is one per environment, `issues` that open and close by themselves, commit `statuses`, and `reviewed`: the plan
that a merged pull request showed. `files` writes what needs no right at all: the job's summary, outputs, annotations.
`webhooks` sends notifications to anybody else. Nothing here knows of specs, targets or git.
"""
