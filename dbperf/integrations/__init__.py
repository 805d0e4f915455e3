"""What opens operations for an application: each request of a web framework is one."""
