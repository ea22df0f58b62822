"""WHEN does a changed file count?  Files looked at, judged as a whole, put in force or left."""
