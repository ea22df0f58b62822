"""What if an address cannot be listened on?  One error for all doors, in the words of the setting."""


class ListenError(Exception):
    """The address cannot be listened on, or its TLS files cannot be used; the message names the setting."""
