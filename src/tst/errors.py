"""Errors that the user can mend."""


class UserError(ValueError):
    """A mistake of the user's, or a damaged file: one line that names the file, what is wrong and the remedy.

    The command line prints the message alone, without a traceback.
    """
