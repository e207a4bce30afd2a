"""From YAML files to `Desired`: the only part of specrunner that knows the spec language.

`desired.load` is the face; it goes through these rooms, in this order:

* `documents` finds the files and reads them with `loader` (libyaml, scalars as in YAML 1.2);
* `project` picks the project and the environment, `environments` merges patches over documents;
* `drafts` takes each document alone: `variables` are replaced, `validate` asks the schemas (`schema`) for a
  verdict and has failures told by `explain`, `normalise` and `schedules` bring it to its one form, `paths` and
  `bundle` turn files into payloads;
* `references` judges all drafts together: duplicates, unknown names, cycles.

`tree` walks folders and reads safely, `cache` remembers what sound files gave. `formatting` (over `layout`) orders a
file's keys, `rendering` writes what the documents come to.

Every check gives a `Finding`, which names a value by its trail of keys; `positions` turns it into a diagnostic with
file, line, column and source, for documents that have findings and for no others. `mistakes` names their kinds;
`faults` are those of the YAML itself, `wording` has the words that messages share; `spelling` keeps scalars as they
were written, `syntax` and `repairs` know what a writer meant, `advice` warns. Nothing stops at the first mistake: a
wrong field is left out and the rest checked on. `secrets` is apart: it reads what sources of secrets give, when
somebody asks for it; `globs` is what `include`, `exclude` and `.gitignore` have in common.
"""
