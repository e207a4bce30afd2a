"""The kinds of mistakes, by names that stay: scripts, SARIF baselines and the golden tests refer to them.

A kind may be told in many words; its name is never reused for another, and never changes.
"""

from __future__ import annotations

from enum import StrEnum


class Mistake(StrEnum):
    """What kind of mistake a diagnostic tells."""

    # the text of a file
    YAML_SYNTAX = "yaml-syntax"  # the parser stopped
    TAB = "tab"  # a tab indents
    CONTROL_CHARACTER = "control-character"  # a character that YAML does not allow
    MERGE_CONFLICT = "merge-conflict"  # git's markers were left
    NOT_UTF8 = "not-utf8"  # another encoding
    FILE_TOO_LARGE = "file-too-large"  # more bytes than a file of specs may have
    TOO_DEEP = "too-deep"  # mappings and lists nested too deep
    TOO_MANY_VALUES = "too-many-values"  # too many values, aliases expanded
    DUPLICATE_KEY = "duplicate-key"  # a key twice in one mapping
    KEY_NOT_TEXT = "key-not-text"  # a list or mapping as a key
    BAD_MERGE = "bad-merge"  # `<<` of what is no mapping
    TAG = "tag"  # a YAML tag
    UNUSABLE_NUMBER = "unusable-number"  # infinite, or no number at all
    AMBIGUOUS_NUMBER = "ambiguous-number"  # its spelling would be lost, or is read in two ways
    REST_UNREAD = "rest-unread"  # too many documents or mistakes in one file to go on
    # files
    UNREADABLE = "unreadable"  # the system does not let us read it
    LEAVES_REPOSITORY = "leaves-repository"  # by `..`, by an absolute path or by a symbolic link
    MISSING_FILE = "missing-file"  # a named file is not there
    NOT_A_BUNDLE = "not-a-bundle"  # neither a folder nor a zip
    NO_ENTRY_POINT = "no-entry-point"  # no main.py
    SEVERAL_REQUIREMENTS = "several-requirements"  # more than one requirements.txt
    LINK_IN_BUNDLE = "link-in-bundle"  # a symbolic link, or no ordinary file
    TRACKED_STATE = "tracked-state"  # git tracks .specrunner
    UNSAFE_BUNDLE = "unsafe-bundle"  # names that leave it, or too much in it
    # the project
    NO_PROJECT = "no-project"  # no specrunner.yaml, or no project in it
    STRAY_PROJECT = "stray-project"  # a project elsewhere
    SECOND_PROJECT = "second-project"  # a second project in specrunner.yaml
    UNKNOWN_ENVIRONMENT = "unknown-environment"  # not declared
    NO_ENVIRONMENT = "no-environment"  # several are declared and none is chosen
    # one document
    FOREIGN_DOCUMENT = "foreign-document"  # another tool's document in a file of ours
    UNKNOWN_KIND = "unknown-kind"  # no such kind, or none at all
    UNKNOWN_VERSION = "unknown-version"  # another apiVersion, or a misspelt one
    UNKNOWN_FIELD = "unknown-field"  # a key that the schema does not have
    MISSING_FIELD = "missing-field"  # a key that the schema requires
    WRONG_TYPE = "wrong-type"  # text for a mapping, a number for a list
    NOT_ALLOWED = "not-allowed"  # none of the allowed words
    OUT_OF_RANGE = "out-of-range"  # too small, too large, too short, too long
    REPEATED_ITEM = "repeated-item"  # twice in a list of different items
    BAD_VALUE = "bad-value"  # of the right type and the wrong form
    BAD_NAME = "bad-name"  # a name with what a name can't have
    BAD_FIELD_NAME = "bad-field-name"  # a free key with what a key can't have
    BAD_DURATION = "bad-duration"  # no duration
    BAD_SIZE = "bad-size"  # no size
    BAD_INSTANT = "bad-instant"  # no such date or time
    EXCLUSIVE_FIELDS = "exclusive-fields"  # two that exclude each other, or none of several
    LONELY_FIELD = "lonely-field"  # means nothing without another one
    NO_WORKSPACE = "no-workspace"  # belongs to none
    NO_WEIGHT = "no-weight"  # a split whose arms all have the weight 0
    BAD_EXPRESSION = "bad-expression"  # of a validation: no comparison of output columns
    TWO_VALUES = "two-values"  # in `env` and in `secretEnv`
    # schedules
    BAD_CRON = "bad-cron"  # no cron expression
    SECONDS = "seconds"  # a field for seconds
    NEVER_FIRES = "never-fires"  # by the calendar
    UNKNOWN_TIME_ZONE = "unknown-time-zone"  # not in the IANA database
    EMPTY_SPAN = "empty-span"  # `until` is not after `from`
    ENDED_SCHEDULE = "ended-schedule"  # a warning: all its instants lie in the past
    # variables
    UNDEFINED_VARIABLE = "undefined-variable"  # not among the environment's `vars`
    UNSET_VARIABLE = "unset-variable"  # not in the environment of the process
    NO_VARIABLE = "no-variable"  # no `${vars.…}` and no `${env.…}`
    MISPLACED_VARIABLE = "misplaced-variable"  # in the name of a file, or a mapping inside a text
    # several documents
    DUPLICATE_OBJECT = "duplicate-object"  # the same key twice
    UNKNOWN_REFERENCE = "unknown-reference"  # nothing declares it
    BAD_REFERENCE = "bad-reference"  # no key
    BAD_RENAME = "bad-rename"  # from itself, from what is still declared, or twice from the same
    CYCLE = "cycle"  # each waits for the next
    PATCH_WITHOUT_BASE = "patch-without-base"  # nothing to merge over
    UNUSED_PATCHES = "unused-patches"  # a warning: a folder of patches for no environment
