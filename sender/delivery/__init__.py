"""Plan the audience of a run, dispatch it, keep its pace, recover after a crash."""
