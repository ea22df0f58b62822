"""HOW do keys sign that live elsewhere?  Rings whose private keys never leave Vault or AWS KMS."""
