"""PyYAML as the layer holds it: what makes events, and no imports of its own."""
