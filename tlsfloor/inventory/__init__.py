"""Which TLS libraries a process, a file or an environment holds."""
