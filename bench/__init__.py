"""What does a Check cost here?  Figures as ratios of one run; `make bench` prints them all."""
