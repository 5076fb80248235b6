"""JimBot's application: the stack's web service on port 8000."""

__version__ = "0.1.0"
