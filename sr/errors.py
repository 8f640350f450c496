"""Errors that are the user's to mend. Command lines print the message alone and exit with 2."""


class SRError(ValueError):
    """Bad input or a bad setting; the message says what, which, what was expected and what to do."""


class ImageError(SRError):
    """An image file or array that cannot be used."""
