"""Packages that are laid into a run's environment at the top level, under names that users' code already imports.

They are not meant to be imported from here: `wallaroo` becomes the top-level package `wallaroo`.
"""
