"""The layer's process: the Extensions API lifecycle and the local HTTP port."""
