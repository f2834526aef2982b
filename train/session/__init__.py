"""What every training run has: a name, a state to go on from, what is shown of it, its processes and schedules."""
