"""How does each form of webhook sign a request?  What is signed, which headers say so, and how strictly they are read.

Each form builds what is signed and the headers that carry it, for whoever signs, and reads them, for whoever verifies.
"""
