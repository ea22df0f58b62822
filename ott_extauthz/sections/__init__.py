"""What may stand in each section of `ott.yaml` that is larger than a few keys?  One module for each."""
