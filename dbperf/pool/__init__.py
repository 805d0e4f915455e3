"""Connection pools that size themselves."""
