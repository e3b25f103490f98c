"""What the pages of the dashboard read: plain values, shaped for people, no I/O of their own."""
