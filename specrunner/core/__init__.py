"""Vocabulary and decisions: what things are called, what changes, in which order, and what is legal.

Everything here is pure: no input or output, no clock, no randomness, no logging. Time, file contents and live
state come in as arguments; what goes out are values. `keys`, `values` and `resources` are the vocabulary;
`fields` says how each field behaves when it changes; `diff` compares; `plan` holds the record of what would
be done and `order` its sequence; `lifecycle` says which transitions are legal, `cron` when a schedule fires and
`bundles` what an orchestration may contain. The layers above *do* what this one *decided*.
"""
