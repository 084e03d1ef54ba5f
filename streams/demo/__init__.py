"""`make demo`: the whole line on a real broker with three receivers, watched live, and a summary at the end."""
