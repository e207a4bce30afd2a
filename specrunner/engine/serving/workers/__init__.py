"""Python models, each in processes of its own: arbitrary code never runs in the engine's process.

    engine ── socket pair ── worker (the model's environment, the package `inside`)
       └───── pipe ───────── keeper (our interpreter, `keeper`), the worker's parent

`inside` is standalone: it is laid beside the model as files and imports nothing of specrunner. The keeper owns the
worker's process tree and its output: when the engine lets go of its pipe, by intent or by dying, nothing of the tree
stays alive. `process` is one worker as the engine sees it, `pool` several behind one queue, `model` the runtime.
"""
