"""SQLite: its file is copied, and the copy is planned on, built on and executed on."""
