"""From an uploaded zip to something that can run: `bundles` unpacks safely, `environments` resolves and builds."""
