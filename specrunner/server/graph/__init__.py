"""GraphQL over one engine: `schema` is what may be asked, `nodes` and `roots` what is answered, `limits` how much."""
