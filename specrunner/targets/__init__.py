"""Where specs are applied to: the `Target` port and its adapters."""
