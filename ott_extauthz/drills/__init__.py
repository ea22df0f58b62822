"""What happens when something goes wrong?  Operations drills against the demo's stage, each with what must be seen."""
