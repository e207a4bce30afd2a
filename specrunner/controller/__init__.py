"""The controller: a git branch is followed, and what it declares is made so, again and again.

`mirror` brings the branch's commits here, each into a work tree of its own; `memory` is what is known across restarts;
`loop` decides which commit is to be live, and has it applied. Applying is a command of its own, in its own process:
killing this one loses nothing, and whatever an apply does, it does as if a person had typed it.
"""
