"""What happened: a person's decision, a rule that was met; kept, delivered, read again."""
