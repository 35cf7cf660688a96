"""InputError: what a user gave cannot be used; the command line shows its message alone, without a traceback."""


class InputError(ValueError):
    """Says what was found, what is needed and what to type. A missing file raises FileNotFoundError in the same form."""
