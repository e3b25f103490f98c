"""What each command of the chat means: values in, an ``Answer`` out, whatever carries it."""
