"""How is a number of things said?"""


def counted(number: int, what: str) -> str:
    """Return the number with its word: ``1 route``, ``2 routes``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
