"""Made-up traffic of a Kubernetes cluster, as arrays: planned, packed, framed."""
