"""The version of charrnn, where everything can import it."""

__version__ = "0.1.0"
