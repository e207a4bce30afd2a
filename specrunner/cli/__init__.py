"""The command line: parses words, wires adapters, prints, exits. Nothing below it does any of these."""
