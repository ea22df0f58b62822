"""How do we sign what leaves?  Our own keys, and the headers of each form; the receivers' side is the other rooms'."""
