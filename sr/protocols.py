"""Names of the two protocols of measuring, which command lines need before anything is measured; see `sr.metrics`."""

PROTOCOLS = ("paper", "standard")
