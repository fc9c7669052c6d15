"""The one kind of error a user can act on: a single clear line, exit code 2 at the command line."""


class UserError(Exception):
    """Bad input or environment; `str(error)` is one line naming file, line, key, what was expected and found."""

    def __init__(self, message: str):
        super().__init__(" ".join(str(message).split()))
