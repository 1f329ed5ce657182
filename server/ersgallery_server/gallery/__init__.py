"""The galleries themselves: who owns an index, how faces come in, how probes are answered."""
