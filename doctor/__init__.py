"""What this machine has and lacks, and what to send along with a report of a fault."""
