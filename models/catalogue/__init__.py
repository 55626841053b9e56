"""What the zoo holds, described for people: papers, options, cost."""
