"""Quality on questions of your own, and bounds that it must keep."""
