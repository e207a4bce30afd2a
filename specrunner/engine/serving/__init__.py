"""From a model file to an answer: `runtimes` load models, `codecs` read and write tables, `dataplane` runs a
pipeline's steps, `inference_log` remembers what was asked and answered."""
