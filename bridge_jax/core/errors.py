"""The one error that speaks to users."""


class BridgeError(Exception):
    """A mistake in the input: one line that says what, where and the way out.

    The command line prints it on stderr without a traceback and exits with 2.
    """
