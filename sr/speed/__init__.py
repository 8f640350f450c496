"""How fast this code is on the machine it runs on, beside plain code for the same work and the machine's own peak."""
