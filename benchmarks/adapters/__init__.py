"""What a host's calls take before and after its adapter is switched on, a module a host."""
