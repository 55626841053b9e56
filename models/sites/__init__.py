"""Sites of plug-ins in a network, and how plug-ins are attached."""
