"""What tools that instrument modules are shown on: with them, a wrong argument is an error.

And what crosshair is shown on: it finds the argument for which the promise is broken.
"""


def double(number: int) -> int:
    """
    post: _ != 14
    """
    return number * 2
